-- Up Migration

-- Sums stand as int4 when all of their row fit, else as int8, and what does not fit that has the
-- rest, times 2^64, in carries: a row of window_deltas, window_pages or total_pages has exactly one
-- of its two columns of sums.
create function countersink.store_small_sums(generation int) returns void language plpgsql as $body$
declare
  s text := 'countersink_' || generation;
begin
  execute format($alter$
    alter table %1$I.window_deltas
      add column small_deltas int[],
      alter column deltas drop not null,
      alter column small_deltas set storage external,
      add check (num_nonnulls(small_deltas, deltas) = 1);
    alter table %1$I.total_pages
      add column small_totals int[],
      alter column totals drop not null,
      add check (num_nonnulls(small_totals, totals) = 1);
    alter table %1$I.window_pages
      add column small_deltas int[],
      alter column deltas drop not null,
      add check (num_nonnulls(small_deltas, deltas) = 1);
  $alter$, s);
end
$body$;

alter function countersink.create_generation(int) rename to create_generation_0001;

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
begin
  perform countersink.create_generation_0001(generation);
  perform countersink.store_small_sums(generation);
end
$body$;

-- Views of the live generation. They do the same sum as every reader: page + the deltas of the
-- commits from where the page is folded to. One statement sees one snapshot, so they are exact.
-- Nothing is summed up before it is joined to its series: so a condition on counter and key reaches
-- both parts, and one key costs one partition's log from its floor on, not the log of all.
create or replace function countersink.point_views_at(generation int) returns void language plpgsql as $body$
declare
  s text := 'countersink_' || generation;
begin
  execute format($view$
    create or replace view countersink.totals as
    select counter, key, dims, sum(delta) as total
    from (
      select c.name as counter, s.key, s.dims,
        coalesce(t.small_totals[(s.slot & 127) + 1], t.totals[(s.slot & 127) + 1], 0)
          + coalesce(t.carries[(s.slot & 127) + 1], 0) * 18446744073709551616::numeric as delta
      from %1$I.series s
      join %1$I.counters c using (counter)
      left join %1$I.total_pages t
        on t.counter = s.counter and t.partition = s.partition and t.page = s.slot >> 7
      union all
      select c.name, s.key, s.dims,
        u.delta + coalesce(u.carry, 0) * 18446744073709551616::numeric
      from %1$I.series s
      join %1$I.counters c using (counter)
      join %1$I.partitions p on p.partition = s.partition
      join %1$I.window_deltas d
        on d.partition = s.partition and d.first >= p.floor and d.counter = s.counter
      cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
        u (slot, delta, carry)
      left join %1$I.total_pages t
        on t.counter = s.counter and t.partition = s.partition and t.page = s.slot >> 7
      where u.slot = s.slot and d.first >= coalesce(t.next, 0)
    ) parts
    group by counter, key, dims
  $view$, s);
  execute format($view$
    create or replace view countersink.windows as
    select counter, key, dims, countersink.duration_text(size) as size,
      to_timestamp(start / 1000.0) as start, sum(delta) as delta
    from (
      select c.name as counter, s.key, s.dims, w.size, w.start,
        u.delta + coalesce(u.carry, 0) * 18446744073709551616::numeric as delta
      from %1$I.series s
      join %1$I.counters c using (counter)
      join %1$I.window_sizes z using (counter)
      join %1$I.window_pages w on w.counter = s.counter and w.partition = s.partition
        and w.page = s.slot >> 7 and w.size = z.size
      cross join unnest(w.slots, coalesce(w.small_deltas::bigint[], w.deltas), w.carries)
        u (slot, delta, carry)
      where u.slot = s.slot & 127
      union all
      select c.name, s.key, s.dims, z.size, d.start - d.start %% z.size,
        u.delta + coalesce(u.carry, 0) * 18446744073709551616::numeric
      from %1$I.series s
      join %1$I.counters c using (counter)
      join %1$I.window_sizes z using (counter)
      join %1$I.partitions p on p.partition = s.partition
      join %1$I.window_deltas d
        on d.partition = s.partition and d.first >= p.floor and d.counter = s.counter
      cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
        u (slot, delta, carry)
      -- One index look-up a delta, by all five columns: without statistics, in the first minute of
      -- a database, the planner joined by the first two and filtered (57 s for 19,000 deltas).
      left join lateral (
        select next from %1$I.window_pages
        where counter = d.counter and partition = d.partition and page = s.slot >> 7
          and size = z.size and start = d.start - d.start %% z.size
        limit 1
      ) w on true
      where u.slot = s.slot and d.first >= coalesce(w.next, 0)
    ) parts
    group by counter, key, dims, size, start
  $view$, s);
end
$body$;

select countersink.store_small_sums(generation) from countersink.generations order by generation;
select countersink.point_views_at(generation) from countersink.generations where state = 'live';
