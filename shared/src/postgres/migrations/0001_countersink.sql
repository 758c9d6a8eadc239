-- Up Migration

create schema if not exists countersink;

-- Exactly one generation is live; others are being built by a replay or wait to be dropped.
create table countersink.generations (
  generation int primary key,
  state text not null check (state in ('live', 'building', 'retired')),
  topic text,
  created_at timestamptz not null default now()
);
create unique index generations_one_live on countersink.generations (state) where state = 'live';

-- Seeds the hashes of ids in every generation, so that nobody outside can craft collisions.
create table countersink.secret (
  only_one boolean primary key default true check (only_one),
  value bytea not null check (length(value) = 16)
);
insert into countersink.secret (value)
values (substring(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')) for 16));

-- Contracts as they were in force; which offset each took effect at is in partition_contracts.
create table countersink.contract_versions (
  version int generated always as identity primary key,
  body text not null,
  created_at timestamptz not null default now()
);
create unique index contract_versions_body on countersink.contract_versions (md5(body));

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
declare
  s text := 'countersink_' || generation;
begin
  execute format('create schema %I', s);
  -- pg_temp last, so that no temporary table can stand in for one of ours.
  perform set_config('search_path', format('%I, pg_temp', s), true);

  -- One row a partition: the compare-and-set of a commit is an update of this row.
  create table partitions (
    partition int primary key,
    start bigint not null,
    next bigint not null,
    floor bigint not null,
    -- The commits from here on may hold ids that are still remembered.
    ids_floor bigint not null,
    -- Counts the commits, also those that only write pages: the third part of the compare-and-set.
    revision bigint not null default 0,
    token uuid,
    owner text,
    seen_at timestamptz not null default now(),
    append_max bigint not null default 0,
    record_offset bigint,
    record_hash int,
    halted text,
    halted_at timestamptz,
    read bigint not null default 0,
    applied bigint not null default 0,
    duplicate bigint not null default 0,
    conflict bigint not null default 0,
    late bigint not null default 0,
    invalid bigint not null default 0,
    misrouted bigint not null default 0,
    check (floor <= next and ids_floor <= next),
    check (read = applied + duplicate + conflict + late + invalid)
  ) with (fillfactor = 20);

  create table counters (
    counter int generated always as identity primary key,
    name text collate "C" not null unique
  );

  -- The window sizes kept of each counter, in milliseconds.
  create table window_sizes (
    counter int not null,
    size bigint not null,
    primary key (counter, size)
  );

  create table partition_counters (
    partition int not null,
    counter int not null,
    -- The order in which the partition met its counters.
    ordinal int not null,
    clock bigint not null,
    primary key (partition, counter)
  ) with (fillfactor = 50);

  create table partition_contracts (
    partition int not null,
    from_offset bigint not null,
    version int not null,
    primary key (partition, from_offset)
  );

  create table series (
    counter int not null,
    partition int not null,
    slot int not null,
    key text collate "C" not null,
    dims jsonb not null default '{}',
    primary key (counter, partition, slot)
  );
  create index series_by_key on series (counter, key);

  create table commits (
    partition int not null,
    first bigint not null,
    next bigint not null,
    read int not null,
    applied int not null,
    duplicate int not null,
    conflict int not null,
    late int not null,
    invalid int not null,
    clocks bigint[] not null,
    ids bytea not null,
    -- (offset, outcome) of every event that was not applied.
    outcomes bytea not null,
    committed_at timestamptz not null default now(),
    primary key (partition, first)
  );
  -- Hashes do not compress, and pglz costs more than the bytes it saves on the rest.
  alter table commits alter column ids set storage external;
  alter table commits alter column outcomes set storage external;

  -- Ids of commits whose log was replaced (a topic made again): still remembered.
  create table carried_ids (
    partition int not null,
    ids bytea not null
  );

  create table window_deltas (
    partition int not null,
    first bigint not null,
    counter int not null,
    start bigint not null,
    slots int[] not null,
    deltas bigint[] not null,
    carries bigint[]
  );
  create index window_deltas_by_commit on window_deltas (partition, first);
  alter table window_deltas alter column slots set storage external;
  alter table window_deltas alter column deltas set storage external;

  create table total_pages (
    counter int not null,
    partition int not null,
    page int not null,
    next bigint not null,
    totals bigint[] not null,
    carries bigint[],
    primary key (counter, partition, page)
  ) with (fillfactor = 70);

  create table window_pages (
    counter int not null,
    partition int not null,
    page int not null,
    size bigint not null,
    start bigint not null,
    next bigint not null,
    slots smallint[] not null,
    deltas bigint[] not null,
    carries bigint[],
    primary key (counter, partition, page, size, start)
  ) with (fillfactor = 90);

  -- A bounded sample of what was not counted, with coordinates; the ledger counts all of it.
  create table rejects (
    partition int not null,
    "offset" bigint not null,
    index int not null,
    outcome text not null,
    reason text,
    value bytea,
    seen_at timestamptz not null default now(),
    primary key (partition, "offset", index)
  );

  create table gaps (
    partition int not null,
    from_offset bigint not null,
    to_offset bigint not null,
    reason text not null,
    accepted_at timestamptz not null default now()
  );

  -- What an operator has decided and the partition's owner has not carried out yet.
  create table gap_decisions (
    partition int primary key,
    to_offset bigint not null,
    decided_at timestamptz not null default now()
  );

  perform set_config('search_path', '"$user", public', true);
end
$body$;

-- Views of the live generation. They do the same sum as every reader: page + the deltas of the
-- commits from where the page is folded to. One statement sees one snapshot, so they are exact.
-- Nothing is summed up before it is joined to its series: so a condition on counter and key reaches
-- both parts, and one key costs one partition's log from its floor on, not the log of all.
create function countersink.point_views_at(generation int) returns void language plpgsql as $body$
declare
  s text := 'countersink_' || generation;
begin
  execute format($view$
    create or replace view countersink.totals as
    select counter, key, dims, sum(delta) as total
    from (
      select c.name as counter, s.key, s.dims,
        coalesce(t.totals[(s.slot & 127) + 1], 0)
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
      cross join unnest(d.slots, d.deltas, d.carries) u (slot, delta, carry)
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
      cross join unnest(w.slots, w.deltas, w.carries) u (slot, delta, carry)
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
      cross join unnest(d.slots, d.deltas, d.carries) u (slot, delta, carry)
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

-- Milliseconds as the shortest text with one unit, as `step` takes it: 60000 is 1m.
create function countersink.duration_text(ms bigint) returns text language sql immutable parallel safe as $body$
  select case
    when ms % 86400000 = 0 then ms / 86400000 || 'd'
    when ms % 3600000 = 0 then ms / 3600000 || 'h'
    when ms % 60000 = 0 then ms / 60000 || 'm'
    when ms % 1000 = 0 then ms / 1000 || 's'
    else ms || 'ms'
  end
$body$;

insert into countersink.generations (generation, state) values (1, 'live');
select countersink.create_generation(1);
select countersink.point_views_at(1);
