-- Up Migration

-- Names of series stand many in a row instead of one, and have one index instead of two: a new
-- series cost Postgres 6 us and 128 bytes (docs/decisions/019-names-of-series.md). What was a table
-- `series` is a view of the same columns: whatever was written for the table, and still runs, reads
-- the same, and cannot write.

-- The series of a counter in a partition that one commit named, sorted, are a run; runs become
-- longer ones, written in their place by the partition's owner in a commit of its own.
create function countersink.create_series_runs(generation int) returns void language plpgsql as $body$
declare
  path text := current_setting('search_path');
begin
  perform set_config('search_path', format('%I, pg_temp', 'countersink_' || generation), true);

  create table series_runs (
    counter int not null,
    partition int not null,
    -- A run has the series of the slots from `first` to `until` - 1. The runs of a counter in a
    -- partition follow one another from slot 0 on: one begins where the one before it ends.
    first int not null,
    until int not null,
    -- '' in a run's first block, else keys[1]: so there is a block for any key in each run.
    from_key text collate "C" not null,
    -- 0, 1, ... within the run. All of its series, block after block, are in the order of
    -- (bytes of the key, slot).
    block int not null,
    keys text[] collate "C" not null,
    slots int[] not null,
    -- Null are those of a series without any, and the array of a block without any.
    dims jsonb[],
    -- A word of 64 bits for each five of the run's series, in its first block: a key that is in the
    -- run has its bits set in its word. Null: not known.
    filter bigint[],
    primary key (counter, partition, first, from_key, block),
    check (first < until),
    check (cardinality(keys) = cardinality(slots))
  ) with (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05);
  alter table series_runs alter column filter set storage external;

  perform set_config('search_path', path, true);
end
$body$;

create function countersink.create_series_view(generation int) returns void language plpgsql as $body$
begin
  execute format($view$
    create view %1$I.series as
    select r.counter, r.partition, u.slot, u.key, coalesce(u.dims, '{}') as dims
    from %1$I.series_runs r cross join unnest(r.keys, r.slots, r.dims) u (key, slot, dims)
  $view$, 'countersink_' || generation);
end
$body$;

create function countersink.drop_series_table(generation int) returns void language plpgsql as $body$
begin
  execute format('drop table %I.series', 'countersink_' || generation);
end
$body$;

alter function countersink.create_generation(int) rename to create_generation_0005;

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
begin
  perform countersink.create_generation_0005(generation);
  perform countersink.drop_series_table(generation);
  perform countersink.create_series_runs(generation);
  perform countersink.create_series_view(generation);
end
$body$;

-- Views of the live generation. They do the same sum as every reader: page + the deltas of the
-- commits from where the page is folded to. One statement sees one snapshot, so they are exact.
-- Names are found by slot in no index: so names and deltas are each made first, once, behind an
-- `offset 0`, and then hashed. Joined row by row, as the planner would, it took 3.2 s for 2000 names
-- and 122 rows of deltas. A condition on key still reaches the pages: their index is by slot.
create or replace function countersink.point_views_at(generation int) returns void language plpgsql as $body$
declare
  s text := 'countersink_' || generation;
begin
  execute format($view$
    create or replace view countersink.totals as
    select counter, key, dims, sum(delta) as total
    from (
      select c.name as counter, s.key, s.dims,
        coalesce(
          t.small_totals[countersink.place_of(s.slot) + 1],
          t.totals[countersink.place_of(s.slot) + 1],
          0
        ) + coalesce(t.carries[countersink.place_of(s.slot) + 1], 0)
          * 18446744073709551616::numeric as delta
      from (select * from %1$I.series offset 0) s
      join %1$I.counters c using (counter)
      left join %1$I.total_pages_512 t on t.counter = s.counter and t.partition = s.partition
        and t.page = countersink.page_of(s.slot)
      union all
      select c.name, s.key, s.dims,
        d.delta + coalesce(d.carry, 0) * 18446744073709551616::numeric
      from (select * from %1$I.series offset 0) s
      join %1$I.counters c using (counter)
      join (
        select d.counter, d.partition, d.first, u.slot, u.delta, u.carry
        from %1$I.partitions p
        join %1$I.window_deltas d on d.partition = p.partition and d.first >= p.floor
        cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
          u (slot, delta, carry)
        offset 0
      ) d on d.counter = s.counter and d.partition = s.partition and d.slot = s.slot
      left join lateral (
        select next from %1$I.total_pages_512
        where counter = d.counter and partition = d.partition
          and page = countersink.page_of(d.slot)
        limit 1
      ) t on true
      where d.first >= coalesce(t.next, 0)
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
      from (select * from %1$I.series offset 0) s
      join %1$I.counters c using (counter)
      join %1$I.window_sizes z using (counter)
      join %1$I.window_pages_512 w on w.counter = s.counter and w.partition = s.partition
        and w.page = countersink.page_of(s.slot) and w.size = z.size
      cross join unnest(w.slots, coalesce(w.small_deltas::bigint[], w.deltas), w.carries)
        u (slot, delta, carry)
      where u.slot = countersink.place_of(s.slot)
      union all
      select c.name, s.key, s.dims, z.size, d.start - d.start %% z.size,
        d.delta + coalesce(d.carry, 0) * 18446744073709551616::numeric
      from (select * from %1$I.series offset 0) s
      join %1$I.counters c using (counter)
      join %1$I.window_sizes z using (counter)
      join (
        select d.counter, d.partition, d.first, d.start, u.slot, u.delta, u.carry
        from %1$I.partitions p
        join %1$I.window_deltas d on d.partition = p.partition and d.first >= p.floor
        cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
          u (slot, delta, carry)
        offset 0
      ) d on d.counter = s.counter and d.partition = s.partition and d.slot = s.slot
      -- One index look-up a delta, by all five columns: without statistics, in the first minute of
      -- a database, the planner joined by the first two and filtered (57 s for 19,000 deltas).
      left join lateral (
        select next from %1$I.window_pages_512
        where counter = d.counter and partition = d.partition
          and page = countersink.page_of(d.slot)
          and size = z.size and start = d.start - d.start %% z.size
        limit 1
      ) w on true
      where d.first >= coalesce(w.next, 0)
    ) parts
    group by counter, key, dims, size, start
  $view$, s);
end
$body$;

-- Runs of up to 32,768 series, in blocks of some 3,800 bytes: two fill a page of Postgres.
create function countersink.sort_series_0006(generation int) returns void language plpgsql as $body$
declare
  path text := current_setting('search_path');
  memory text := current_setting('work_mem');
begin
  perform set_config('search_path', format('%I, pg_temp', 'countersink_' || generation), true);
  -- Names of millions of series are sorted.
  perform set_config('work_mem', '64MB', true);
  -- No commit and no claim while this goes on; readers have the old table. A commit locks partitions
  -- first, so this does, too.
  lock table partitions in share row exclusive mode;
  -- Perhaps nobody has analyzed it yet.
  analyze series;

  insert into series_runs (counter, partition, first, until, from_key, block, keys, slots, dims)
  with measured as (
    select counter, partition, slot >> 15 as run, key, slot, nullif(dims, '{}') as dims,
      -- A key and a slot in arrays; the dims too where there are any.
      sum(12 + octet_length(key) + case when dims = '{}' then 0 else pg_column_size(dims) end)
        over (partition by counter, partition, slot >> 15 order by key, slot) as through
    from series
  ), blocks as (
    select counter, partition, run, through / 3800 as place, min(key) as from_key,
      min(slot) as least, max(slot) as greatest,
      array_agg(key order by key, slot) as keys, array_agg(slot order by key, slot) as slots,
      case when count(dims) > 0 then array_agg(dims order by key, slot) end as dims
    from measured group by counter, partition, run, place
  ), numbered as (
    select *, row_number() over (partition by counter, partition, run order by place) - 1 as block,
      max(greatest) over (partition by counter, partition, run) + 1 as until
    from blocks
  )
  select counter, partition, run << 15, until, case when block = 0 then '' else from_key end,
    block, keys, slots, dims
  from numbered;

  -- An aggregator that still runs has lost its partitions, and would write names to where they were.
  update partitions set token = null, revision = revision + 1;

  perform set_config('work_mem', memory, true);
  perform set_config('search_path', path, true);
end
$body$;

do $body$
declare
  one int;
begin
  for one in select generation from countersink.generations order by generation loop
    perform countersink.create_series_runs(one);
    perform countersink.sort_series_0006(one);
  end loop;
end
$body$;

-- From here on readers wait. They lock a view before what it reads, so this does, too: pointed at the
-- old table once more, the views are locked. They are not dropped, and so keep who may read them.
select countersink.point_views_at(generation) from countersink.generations where state = 'live';
do $body$
declare
  one int;
begin
  for one in select generation from countersink.generations order by generation loop
    execute format('alter table %I.series rename to series_0006', 'countersink_' || one);
    perform countersink.create_series_view(one);
  end loop;
end
$body$;
select countersink.point_views_at(generation) from countersink.generations where state = 'live';
do $body$
declare
  one int;
begin
  for one in select generation from countersink.generations order by generation loop
    execute format('drop table %I.series_0006', 'countersink_' || one);
  end loop;
end
$body$;

drop function countersink.sort_series_0006(int);
