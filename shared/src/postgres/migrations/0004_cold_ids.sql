-- Up Migration

-- Remembered ids that an aggregator has no room for in memory: those that a bucket of a counter had
-- in the commits that begin before `through`, once more, sorted by the first 32 bits of their hash.
-- A row has the ids from `first` on (0 in the first row of all), some 248 of them, 16 bytes each.
-- All rows of (partition, counter, bucket_end, through) are written by one transaction. They are
-- made of the commits' ids: without them those are loaded.
create function countersink.store_cold_ids(generation int) returns void language plpgsql as $body$
begin
  execute format($create$
    create table %1$I.cold_ids (
      partition int not null,
      counter int not null,
      bucket_end bigint not null,
      through bigint not null,
      first bigint not null,
      -- False when the last 14 bits of the ids' third words are not known.
      whole boolean not null,
      ids bytea not null,
      primary key (partition, counter, bucket_end, through, first)
    );
    -- Two rows fill a page: one is read for an id, and hashes do not compress.
    alter table %1$I.cold_ids alter column ids set storage plain;
  $create$, 'countersink_' || generation);
end
$body$;

alter function countersink.create_generation(int) rename to create_generation_0003;

create function countersink.create_generation(generation int) returns void language plpgsql as $body$
begin
  perform countersink.create_generation_0003(generation);
  perform countersink.store_cold_ids(generation);
end
$body$;

select countersink.store_cold_ids(generation) from countersink.generations order by generation;
