-- Up Migration

-- A page holds the sums of 512 neighbouring slots instead of 256, again in tables of other names:
-- whatever was written for the old size, and still runs, finds no table.

create or replace function countersink.page_of(slot int) returns int language sql immutable parallel safe as $body$
  select slot >> 9
$body$;
create or replace function countersink.place_of(slot int) returns int language sql immutable parallel safe as $body$
  select slot & 511
$body$;

create function countersink.create_pages_of_512(generation int) returns void language plpgsql as $body$
begin
  -- A full page as int8 is 5.2 kB and stays in its row, as it is; with carries, which nearly always
  -- are zeros, it is compressed. Pages of windows are mostly written once: nothing is left free.
  execute format($create$
    create table %1$I.total_pages_512 (like %1$I.total_pages_256 including all)
      with (fillfactor = 70, toast_tuple_target = 8160);
    create table %1$I.window_pages_512 (like %1$I.window_pages_256 including all)
      with (fillfactor = 100, toast_tuple_target = 8160);
  $create$, 'countersink_' || generation);
end
$body$;

create function countersink.drop_pages_of_256(generation int) returns void language plpgsql as $body$
begin
  execute format(
    'drop table %1$I.total_pages_256, %1$I.window_pages_256', 'countersink_' || generation
  );
end
$body$;

alter function countersink.create_generation(int) rename to create_generation_0004;

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
begin
  perform countersink.create_generation_0004(generation);
  perform countersink.create_pages_of_512(generation);
  perform countersink.drop_pages_of_256(generation);
end
$body$;

-- The views are those of 0003, but for the tables' names.
do $body$
begin
  execute replace(
    pg_get_functiondef('countersink.point_views_at(int)'::regprocedure), '_pages_256', '_pages_512'
  );
end
$body$;

-- What a sum beyond int64 is stored as: its low 64 bits; the rest, times 2^64, is its carry.
create function countersink.low_limb_0005(sum numeric) returns bigint language sql immutable parallel safe as $body$
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

-- As in 0003: the two old pages of a new one may be folded to different offsets. So all of them are
-- folded to the end of their partition, which is its floor from then on: page + dirt stays what it
-- was, slot by slot. Here totals and windows go one way, a total being the window of size 0.
create function countersink.fold_pages_0005(generation int) returns void language plpgsql as $body$
declare
  path text := current_setting('search_path');
begin
  perform set_config('search_path', format('%I, pg_temp', 'countersink_' || generation), true);
  -- No commit and no claim while this goes on; readers see the old pages until it is done.
  lock table partitions in share row exclusive mode;
  -- Perhaps nobody has analyzed them yet: the joins would be planned for a few rows, and take minutes.
  analyze partitions, window_sizes, window_deltas, total_pages_256, window_pages_256;

  with stored as not materialized (
    select counter, partition, page, 0::bigint as size, 0::bigint as start, next,
      array(select n::smallint from generate_series(0, 255) n) as slots,
      coalesce(small_totals::bigint[], totals) as lows, carries
    from total_pages_256
    union all
    select counter, partition, page, size, start, next, slots,
      coalesce(small_deltas::bigint[], deltas), carries
    from window_pages_256
  ), sizes as (
    select counter, size from window_sizes
    union all
    select counter, 0 from counters
  ), entries as (
    select s.counter, s.partition, s.size, s.start, s.page * 256 + u.slot as slot, u.low, u.carry
    from stored s cross join unnest(s.slots, s.lows, s.carries) u (slot, low, carry)
    union all
    select d.counter, d.partition, z.size, w.start, u.slot, u.low, u.carry
    from partitions p
    join window_deltas d on d.partition = p.partition and d.first >= p.floor
    join sizes z on z.counter = d.counter
    cross join lateral (
      select case z.size when 0 then 0 else d.start - d.start % z.size end as start
    ) w
    cross join unnest(d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries)
      u (slot, low, carry)
    left join stored s on s.counter = d.counter and s.partition = d.partition
      and s.page = u.slot >> 8 and s.size = z.size and s.start = w.start
    where d.first >= coalesce(s.next, 0)
  ), dense as (
    select * from entries
    union all
    -- Pages of totals have all of their places: one that nothing is known of is 0.
    select counter, partition, 0, 0, page * 512 + place, 0, null
    from (
      select distinct counter, partition, countersink.page_of(slot) as page
      from entries where size = 0
    ) pages
    cross join generate_series(0, 511) place
  ), sums as (
    select counter, partition, size, start, slot,
      sum(low) + coalesce(sum(carry), 0) * 18446744073709551616::numeric as sum
    from dense group by counter, partition, size, start, slot
  ), limbs as (
    select *, countersink.page_of(slot) as page, countersink.place_of(slot) as place,
      countersink.low_limb_0005(sum) as low
    from sums
  ), rows as (
    select counter, partition, page, size, start,
      min(sum) >= -2147483648 and max(sum) <= 2147483647 as is_small,
      bool_or(sum <> low) as is_wide,
      array_agg(place::smallint order by place) as slots,
      array_agg(low order by place) as lows,
      array_agg(div(sum - low, 18446744073709551616)::bigint order by place) as carries
    from limbs group by counter, partition, page, size, start
  ), folded as (
    select r.counter, partition, r.page, r.size, r.start, p.next, r.slots,
      case when r.is_small then r.lows::int[] end as smalls,
      case when not r.is_small then r.lows end as larges,
      case when r.is_wide then r.carries end as carries
    from rows r join partitions p using (partition)
  ), totals as (
    insert into total_pages_512
    select counter, partition, page, next, smalls, larges, carries from folded where size = 0
  )
  insert into window_pages_512
    (counter, partition, page, size, start, next, slots, small_deltas, deltas, carries)
  select * from folded where size <> 0;

  -- An aggregator that still runs has lost its partitions, and what it knows of their floors.
  update partitions set floor = next, token = null, revision = revision + 1;

  perform set_config('search_path', path, true);
end
$body$;

select countersink.create_pages_of_512(generation) from countersink.generations order by generation;
select countersink.fold_pages_0005(generation) from countersink.generations order by generation;
select countersink.point_views_at(generation) from countersink.generations where state = 'live';
select countersink.drop_pages_of_256(generation) from countersink.generations order by generation;

drop function countersink.fold_pages_0005(int);
drop function countersink.low_limb_0005(numeric);
