package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams doing the same job: de-duplicate by id, sum per one-minute window and in total,
 * exactly once. The record key is counter/key, so grouping by it is grouping by both.
 *
 * <p>args: bootstrap topic events threads guarantee(exactly_once_v2|at_least_once) dedup(on|off)
 * stateDir dumpFile windowMs warmTopic warmEvents. Counts warmTopic first, so that the JVM is warm,
 * then measures from the first event processed until the group's committed offsets cover the topic.
 * Prints a JSON line at each of the two, waits for the end of its standard input, then opens its
 * stores again and writes all sums to dumpFile, so that they can be checked.
 */
public final class Peer {
  record Event(String id, long delta, long at) {}

  static final JsonFactory JSON = new JsonFactory();
  static final LongAdder seen = new LongAdder();
  static final String APPLICATION = "peer-" + System.nanoTime();
  static final String WARM_APPLICATION = APPLICATION + "-warm";
  static final long DEADLINE_NS = 1_800_000_000_000L;
  static volatile long firstNs = 0;
  static volatile boolean warming = true;

  static synchronized void first() {
    if (firstNs != 0) return;
    firstNs = System.nanoTime();
    if (!warming) System.out.println("{\"at\":\"first\"}");
  }

  /** A pull parser: half the cost of the tree that most people would read. */
  static Event parse(String topic, byte[] bytes) {
    try (JsonParser json = JSON.createParser(bytes)) {
      String id = null;
      long delta = 1;
      long at = -1;
      if (json.nextToken() != JsonToken.START_OBJECT) return null;
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        switch (name) {
          case "id" -> id = json.getText();
          case "delta" -> delta = json.getLongValue();
          case "at" -> at = json.getLongValue();
          default -> json.skipChildren();
        }
      }
      return id == null || at < 0 ? null : new Event(id, delta, at);
    } catch (IOException broken) {
      return null;
    }
  }

  static final class Dedup implements FixedKeyProcessor<String, Event, Event> {
    private WindowStore<String, Short> store;
    private FixedKeyProcessorContext<String, Event> context;

    @Override
    public void init(FixedKeyProcessorContext<String, Event> context) {
      this.context = context;
      this.store = context.getStateStore("ids");
    }

    @Override
    public void process(FixedKeyRecord<String, Event> record) {
      Event event = record.value();
      if (store.fetch(event.id(), event.at()) != null) return;
      store.put(event.id(), (short) 1, event.at());
      context.forward(record);
    }
  }

  static Topology topology(String topic, boolean dedup, Duration window, Properties settings) {
    Serde<Event> events = Serdes.serdeFrom((t, e) -> null, Peer::parse);
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Event> stream =
        builder.stream(
            topic,
            Consumed.with(Serdes.String(), events)
                .withTimestampExtractor(
                    (r, p) -> r.value() == null ? r.timestamp() : ((Event) r.value()).at()));
    stream =
        stream.peek(
            (key, event) -> {
              if (firstNs == 0) first();
              seen.increment();
            });
    if (dedup) {
      builder.addStateStore(
          Stores.windowStoreBuilder(
              Stores.persistentWindowStore(
                  "ids", Duration.ofHours(3), Duration.ofMinutes(10), false),
              Serdes.String(),
              Serdes.Short()));
      stream = stream.processValues(Dedup::new, "ids");
    }
    KGroupedStream<String, Long> grouped =
        stream
            .mapValues(Event::delta)
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Long()));
    grouped
        .windowedBy(TimeWindows.ofSizeAndGrace(window, Duration.ofHours(1)))
        .reduce(
            Long::sum,
            Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("windows")
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Long())
                .withRetention(Duration.ofHours(3)));
    grouped.reduce(
        Long::sum,
        Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("totals")
            .withKeySerde(Serdes.String())
            .withValueSerde(Serdes.Long()));
    return builder.build(settings);
  }

  static Properties settings(String[] args, String application) {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[3]);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
    p.put(StreamsConfig.STATE_DIR_CONFIG, args[6]);
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    p.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
    // The default with exactly_once_v2 is 100 ms; less often is quicker.
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    p.put("auto.offset.reset", "earliest");
    p.put("consumer.max.poll.records", 10000);
    p.put("consumer.fetch.max.bytes", 32 << 20);
    p.put("consumer.max.partition.fetch.bytes", 4 << 20);
    p.put("producer.batch.size", 256 << 10);
    p.put("producer.buffer.memory", 128L << 20);
    return p;
  }

  public static void main(String[] args) throws Exception {
    boolean dedup = args[5].equals("on");
    Duration window = Duration.ofMillis(Long.parseLong(args[8]));
    Properties warm = settings(args, WARM_APPLICATION);
    run(args[9], Long.parseLong(args[10]), warm, topology(args[9], dedup, window, warm));
    deleteTopics(args[0], WARM_APPLICATION);
    seen.reset();
    firstNs = 0;
    warming = false;
    Properties settings = settings(args, APPLICATION);
    Topology topology = topology(args[1], dedup, window, settings);
    double seconds = run(args[1], Long.parseLong(args[2]), settings, topology);
    System.out.printf(
        "{\"at\":\"end\",\"events\":%d,\"seconds\":%.3f}%n", seen.sum(), seconds);
    System.in.read();
    dump(new KafkaStreams(topology(args[1], dedup, window, settings), settings), args[7]);
    deleteTopics(args[0], APPLICATION);
    Runtime.getRuntime().halt(0);
  }

  /** Seconds from the first event processed until all of the topic is committed. */
  static double run(String topic, long events, Properties settings, Topology topology)
      throws Exception {
    String bootstrap = settings.getProperty(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG);
    String application = settings.getProperty(StreamsConfig.APPLICATION_ID_CONFIG);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      Map<TopicPartition, Long> ends = ends(admin, topic);
      KafkaStreams streams = new KafkaStreams(topology, settings);
      streams.start();
      long deadline = System.nanoTime() + DEADLINE_NS;
      while (seen.sum() < events && System.nanoTime() < deadline) Thread.sleep(5);
      // Closing commits at once what the next interval would.
      Thread closing = new Thread(() -> streams.close(Duration.ofSeconds(120)));
      closing.start();
      while (!committed(admin, application, ends) && System.nanoTime() < deadline) Thread.sleep(5);
      double seconds = (System.nanoTime() - firstNs) / 1e9;
      closing.join();
      return seconds;
    }
  }

  static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
    var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    var wanted =
        described.partitions().stream()
            .collect(
                Collectors.toMap(
                    p -> new TopicPartition(topic, p.partition()), p -> OffsetSpec.latest()));
    return admin.listOffsets(wanted).all().get().entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().offset()));
  }

  static boolean committed(Admin admin, String application, Map<TopicPartition, Long> ends)
      throws Exception {
    Map<TopicPartition, OffsetAndMetadata> offsets =
        admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get();
    return ends.entrySet().stream()
        .allMatch(
            end -> {
              OffsetAndMetadata offset = offsets.get(end.getKey());
              return end.getValue() == 0 || (offset != null && offset.offset() >= end.getValue());
            });
  }

  /** The broker is to have no work left from this run when the other side is measured. */
  static void deleteTopics(String bootstrap, String application) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      var own = admin.listTopics().names().get();
      admin.deleteTopics(own.stream().filter(t -> t.startsWith(application)).toList()).all().get();
    }
  }

  /** One line a sum: key and total, or key, start of the window in epoch ms and sum. */
  static void dump(KafkaStreams streams, String file) throws Exception {
    streams.start();
    while (streams.state() != KafkaStreams.State.RUNNING) Thread.sleep(50);
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(file)))) {
      var totals =
          streams.store(
              StoreQueryParameters.fromNameAndType(
                  "totals", QueryableStoreTypes.<String, Long>keyValueStore()));
      try (var all = totals.all()) {
        all.forEachRemaining(sum -> out.println(sum.key + "\t" + sum.value));
      }
      var windows =
          streams.store(
              StoreQueryParameters.fromNameAndType(
                  "windows", QueryableStoreTypes.<String, Long>windowStore()));
      try (var all = windows.all()) {
        all.forEachRemaining(
            sum -> out.println(sum.key.key() + "\t" + sum.key.window().start() + "\t" + sum.value));
      }
    }
  }
}
