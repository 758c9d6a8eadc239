-- Up Migration

-- A page holds the sums of 256 neighbouring slots instead of 128. Its tables have other names than
-- before: whatever was written for the old size, and still runs, finds no table instead of sums that
-- are not those it takes them for.

-- The page of a slot, and its place in that page: what shared/src/page-format.ts says in TypeScript.
create function countersink.page_of(slot int) returns int language sql immutable parallel safe as $body$
  select slot >> 8
$body$;
create function countersink.place_of(slot int) returns int language sql immutable parallel safe as $body$
  select slot & 255
$body$;

create function countersink.create_pages_of_256(generation int) returns void language plpgsql as $body$
declare
  path text := current_setting('search_path');
begin
  perform set_config('search_path', format('%I, pg_temp', 'countersink_' || generation), true);

  -- A full page as int8 with carries is 4.6 kB: all of them stay in their row, as they are. Above
  -- 2 kB they would be compressed and cut up at every write, without the target that is set here.
  create table total_pages_256 (
    counter int not null,
    partition int not null,
    page int not null,
    next bigint not null,
    small_totals int[],
    totals bigint[],
    carries bigint[],
    primary key (counter, partition, page),
    check (num_nonnulls(small_totals, totals) = 1)
  ) with (fillfactor = 70, toast_tuple_target = 8160);

  create table window_pages_256 (
    counter int not null,
    partition int not null,
    page int not null,
    size bigint not null,
    start bigint not null,
    next bigint not null,
    slots smallint[] not null,
    small_deltas int[],
    deltas bigint[],
    carries bigint[],
    primary key (counter, partition, page, size, start),
    check (num_nonnulls(small_deltas, deltas) = 1)
  ) with (fillfactor = 90, toast_tuple_target = 8160);

  perform set_config('search_path', path, true);
end
$body$;

create function countersink.drop_pages_of_128(generation int) returns void language plpgsql as $body$
begin
  execute format(
    'drop table %1$I.total_pages, %1$I.window_pages', 'countersink_' || generation
  );
end
$body$;

alter function countersink.create_generation(int) rename to create_generation_0002;

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
begin
  perform countersink.create_generation_0002(generation);
  perform countersink.create_pages_of_256(generation);
  perform countersink.drop_pages_of_128(generation);
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
        coalesce(
          t.small_totals[countersink.place_of(s.slot) + 1],
          t.totals[countersink.place_of(s.slot) + 1],
          0
        ) + coalesce(t.carries[countersink.place_of(s.slot) + 1], 0)
          * 18446744073709551616::numeric as delta
      from %1$I.series s
      join %1$I.counters c using (counter)
      left join %1$I.total_pages_256 t on t.counter = s.counter and t.partition = s.partition
        and t.page = countersink.page_of(s.slot)
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
      left join %1$I.total_pages_256 t on t.counter = s.counter and t.partition = s.partition
        and t.page = countersink.page_of(s.slot)
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
      join %1$I.window_pages_256 w on w.counter = s.counter and w.partition = s.partition
        and w.page = countersink.page_of(s.slot) and w.size = z.size
      cross join unnest(w.slots, coalesce(w.small_deltas::bigint[], w.deltas), w.carries)
        u (slot, delta, carry)
      where u.slot = countersink.place_of(s.slot)
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
        select next from %1$I.window_pages_256
        where counter = d.counter and partition = d.partition
          and page = countersink.page_of(s.slot)
          and size = z.size and start = d.start - d.start %% z.size
        limit 1
      ) w on true
      where u.slot = s.slot and d.first >= coalesce(w.next, 0)
    ) parts
    group by counter, key, dims, size, start
  $view$, s);
end
$body$;

-- What a sum beyond int64 is stored as: its low 64 bits; the rest, times 2^64, is its carry.
create function countersink.low_limb_0003(sum numeric) returns bigint language sql immutable parallel safe as $body$
  select case
    when sum between -9223372036854775808 and 9223372036854775807 then sum::bigint
    else (
      mod(
        mod(sum + 9223372036854775808, 18446744073709551616) + 18446744073709551616,
        18446744073709551616
      ) - 9223372036854775808
    )::bigint
  end
$body$;

-- Pages of one pair may be folded to different offsets. So all of them are folded to the end of
-- their partition, which is its floor from then on: page + dirt stays what it was, slot by slot.
create function countersink.fold_pages_0003(generation int) returns void language plpgsql as $body$
declare
  path text := current_setting('search_path');
begin
  perform set_config('search_path', format('%I, pg_temp', 'countersink_' || generation), true);
  -- No commit and no claim while this goes on; readers see the old pages until it is done.
  lock table partitions in share row exclusive mode;
  -- Perhaps nobody has analyzed them yet: the joins would be planned for a few rows, and take minutes.
  analyze partitions, window_sizes, window_deltas, total_pages, window_pages;

  insert into total_pages_256
  with entries as (
    select t.counter, t.partition, t.page * 128 + u.ordinal::int - 1 as slot, u.low, u.carry
    from total_pages t
    cross join unnest(coalesce(t.small_totals::bigint[], t.totals), t.carries)
      with ordinality u (low, carry, ordinal)
    union all
    select d.counter, d.partition, u.slot, u.low, u.carry
    from partitions p
    join window_deltas d on d.partition = p.partition and d.first >= p.floor
    cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
      u (slot, low, carry)
    left join total_pages t
      on t.counter = d.counter and t.partition = d.partition and t.page = u.slot >> 7
    where d.first >= coalesce(t.next, 0)
  ), sums as (
    select counter, partition, slot,
      sum(low) + coalesce(sum(carry), 0) * 18446744073709551616::numeric as sum
    from entries group by counter, partition, slot
  ), dense as (
    -- Pages of totals have all of their places: one that nothing is known of is 0.
    select * from sums
    union all
    select counter, partition, page * 256 + place, 0
    from (select distinct counter, partition, countersink.page_of(slot) as page from sums) pages
    cross join generate_series(0, 255) place
  ), limbs as (
    select counter, partition, countersink.page_of(slot) as page,
      countersink.place_of(slot) as place, sum(sum) as sum,
      countersink.low_limb_0003(sum(sum)) as low
    from dense group by counter, partition, slot
  ), rows as (
    select counter, partition, page,
      min(sum) >= -2147483648 and max(sum) <= 2147483647 as is_small,
      bool_or(sum <> low) as is_wide,
      array_agg(low order by place) as lows,
      array_agg(div(sum - low, 18446744073709551616)::bigint order by place) as carries
    from limbs group by counter, partition, page
  )
  select r.counter, partition, r.page, p.next,
    case when r.is_small then r.lows::int[] end,
    case when not r.is_small then r.lows end,
    case when r.is_wide then r.carries end
  from rows r join partitions p using (partition);

  insert into window_pages_256
  with entries as (
    select w.counter, w.partition, w.size, w.start, w.page * 128 + u.slot as slot, u.low, u.carry
    from window_pages w
    cross join unnest(w.slots, coalesce(w.small_deltas::bigint[], w.deltas), w.carries)
      u (slot, low, carry)
    union all
    select d.counter, d.partition, z.size, d.start - d.start % z.size, u.slot, u.low, u.carry
    from partitions p
    join window_deltas d on d.partition = p.partition and d.first >= p.floor
    join window_sizes z on z.counter = d.counter
    cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
      u (slot, low, carry)
    left join window_pages w
      on w.counter = d.counter and w.partition = d.partition and w.page = u.slot >> 7
        and w.size = z.size and w.start = d.start - d.start % z.size
    where d.first >= coalesce(w.next, 0)
  ), sums as (
    select counter, partition, size, start, slot,
      sum(low) + coalesce(sum(carry), 0) * 18446744073709551616::numeric as sum
    from entries group by counter, partition, size, start, slot
  ), limbs as (
    select *, countersink.page_of(slot) as page, countersink.place_of(slot) as place,
      countersink.low_limb_0003(sum) as low
    from sums
  ), rows as (
    select counter, partition, page, size, start,
      min(sum) >= -2147483648 and max(sum) <= 2147483647 as is_small,
      bool_or(sum <> low) as is_wide,
      array_agg(place::smallint order by place) as slots,
      array_agg(low order by place) as lows,
      array_agg(div(sum - low, 18446744073709551616)::bigint order by place) as carries
    from limbs group by counter, partition, page, size, start
  )
  select r.counter, partition, r.page, r.size, r.start, p.next, r.slots,
    case when r.is_small then r.lows::int[] end,
    case when not r.is_small then r.lows end,
    case when r.is_wide then r.carries end
  from rows r join partitions p using (partition);

  -- An aggregator that still runs has lost its partitions, and what it knows of their floors.
  update partitions set floor = next, token = null, revision = revision + 1;

  perform set_config('search_path', path, true);
end
$body$;

select countersink.create_pages_of_256(generation) from countersink.generations order by generation;
select countersink.fold_pages_0003(generation) from countersink.generations order by generation;
select countersink.point_views_at(generation) from countersink.generations where state = 'live';
select countersink.drop_pages_of_128(generation) from countersink.generations order by generation;

drop function countersink.fold_pages_0003(int);
drop function countersink.low_limb_0003(numeric);
