package peer;

import java.io.File;
import java.sql.*;
import java.time.Duration;
import java.util.*;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.jdbc.*;
import org.apache.flink.connector.jdbc.core.datastream.sink.JdbcSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;

/** Flink doing the same job as kafka-streams-peer. Arguments are name=value; see README.md. */
public class Peer {
  static final Map<String, String> o = new HashMap<>(Map.of("mode", "one", "dedup", "on", "sink", "jdbc", "par", "2", "window", "60000", "warm", "", "warmEvents", "0",
      "managed", "1g", "ckpt", "1000"));
  static { o.put("repeat", "1"); o.put("salt", "off"); }

  static Configuration conf() {
    Configuration c = new Configuration();
    Map<String, String> m = new LinkedHashMap<>();
    m.put("execution.runtime-mode", "STREAMING");
    m.put("execution.checkpointing.interval", o.get("ckpt") + " ms");
    m.put("execution.checkpointing.mode", "EXACTLY_ONCE");
    m.put("execution.checkpointing.storage", "filesystem");
    m.put("execution.checkpointing.dir", "file://" + o.get("dir") + "/checkpoints");
    m.put("execution.checkpointing.incremental", "true");
    m.put("state.backend.type", "rocksdb");
    m.put("state.backend.rocksdb.localdir", o.get("dir") + "/rocksdb");
    m.put("state.backend.rocksdb.use-bloom-filter", "true");
    m.put("state.backend.rocksdb.timer-service.factory", "HEAP");
    m.put("taskmanager.memory.managed.size", o.get("managed"));
    m.put("taskmanager.memory.network.min", "128m");
    m.put("taskmanager.memory.network.max", "128m");
    m.put("taskmanager.numberOfTaskSlots", o.get("par"));
    m.put("pipeline.object-reuse", "true");
    m.put("restart-strategy.type", o.containsKey("fail") ? "fixed-delay" : "none");
    m.put("state.backend.rocksdb.predefined-options", "FLASH_SSD_OPTIMIZED");
    m.put("state.backend.rocksdb.compression.per.level", "NO_COMPRESSION"); // random ids do not compress
    o.forEach((k, v) -> { if (k.contains(".")) m.put(k, v); }); // any Flink option may be given as an argument
    m.forEach(c::setString);
    return c;
  }

  static KafkaSource<Ev> source(long salt) {
    return KafkaSource.<Ev>builder().setBootstrapServers(o.get("bootstrap")).setTopics(o.get("topic"))
        .setStartingOffsets(OffsetsInitializer.earliest()).setBounded(OffsetsInitializer.latest())
        .setDeserializer(new Ops.Parse(salt))
        .setProperty("max.poll.records", "10000").setProperty("fetch.max.bytes", "" + (32 << 20)).setProperty("max.partition.fetch.bytes", "" + (4 << 20))
        .setProperty("commit.offsets.on.checkpoint", "false").build();
  }

  static <T> Sink<T> jdbc(String sql, JdbcStatementBuilder<T> b, boolean rewrite) {
    return JdbcSink.<T>builder().withQueryStatement(sql, b)
        .withExecutionOptions(JdbcExecutionOptions.builder().withBatchSize(5000).withBatchIntervalMs(0).withMaxRetries(3).build())
        .buildAtLeastOnce(new JdbcConnectionOptions.JdbcConnectionOptionsBuilder().withUrl(o.get("pg") + (rewrite ? "&reWriteBatchedInserts=true" : "")).withDriverName("org.postgresql.Driver").build());
  }

  static void stream() throws Exception {
    int par = Integer.parseInt(o.get("par"));
    boolean dedup = o.get("dedup").equals("on"), pg = o.get("sink").equals("jdbc");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(par, conf());
    WatermarkStrategy<Ev> wms = WatermarkStrategy.<Ev>forBoundedOutOfOrderness(Duration.ofSeconds(5)).withTimestampAssigner((e, t) -> e.at);
    DataStream<Ev> s = env.fromSource(source(0), wms, "kafka");
    for (int i = 1; i < Integer.parseInt(o.get("repeat")); i++) // the topic again: duplicates, to check the dedup, or with salt=on new ids, for a longer run
      s = s.union(env.fromSource(source(o.get("salt").equals("on") ? i : 0), wms, "kafka" + i));
    TypeInformation<Tuple2<Long, Long>> idType = Types.TUPLE(Types.LONG, Types.LONG);
    TypeInformation<Tuple2<String, Long>> totType = Types.TUPLE(Types.STRING, Types.LONG);
    DataStream<Tuple2<String, Long>> totals; DataStream<Tuple3<String, Long, Long>> windows; boolean rewrite = true;
    String mode = o.get("mode");
    if (mode.equals("one")) { // one shuffle
      SingleOutputStreamOperator<Tuple2<String, Long>> a = s.keyBy(e -> e.counter, Types.STRING).transform("dedup+agg", totType, new Ops.Agg(dedup, true));
      totals = a; windows = a.getSideOutput(Ops.WINDOWS);
    } else {
      if (dedup) s = s.keyBy(e -> Tuple2.of(e.hi, e.lo), idType).filter(new Ops.Dedup());
      if (mode.equals("two")) { // by id, then pre-aggregated by counter
        SingleOutputStreamOperator<Tuple2<String, Long>> a = s.transform("local-agg", new Ev.Info(), new Ops.LocalAgg(!dedup))
            .keyBy(e -> e.counter, Types.STRING).transform("agg", totType, new Ops.Agg(false, false));
        totals = a; windows = a.getSideOutput(Ops.WINDOWS);
      } else { // plain
        rewrite = false;
        KeyedStream<Ev, String> k = s.keyBy(e -> e.counter, Types.STRING);
        totals = k.process(new Ops.Totals(!dedup), totType);
        windows = k.window(TumblingEventTimeWindows.of(Duration.ofMillis(Ops.WINDOW)))
            .reduce((x, y) -> Ev.part(x.counter, x.delta + y.delta, x.at), new ProcessWindowFunction<Ev, Tuple3<String, Long, Long>, String, TimeWindow>() {
              @Override public void process(String key, Context c, Iterable<Ev> in, Collector<Tuple3<String, Long, Long>> out) {
                for (Ev e : in) out.collect(Tuple3.of(key, c.window().getStart(), e.delta));
              } }, Types.TUPLE(Types.STRING, Types.LONG, Types.LONG));
      }
    }
    totals.sinkTo(pg ? jdbc("INSERT INTO totals (counter,total) VALUES (?,?) ON CONFLICT (counter) DO UPDATE SET total=EXCLUDED.total",
        (st, t) -> { st.setString(1, t.f0); st.setLong(2, t.f1); }, rewrite) : new Ops.Discard<>());
    windows.sinkTo(pg ? jdbc("INSERT INTO windows (counter,start_at,sum) VALUES (?,?,?) ON CONFLICT (counter,start_at) DO UPDATE SET sum=EXCLUDED.sum",
        (st, t) -> { st.setString(1, t.f0); st.setTimestamp(2, new Timestamp(t.f1)); st.setLong(3, t.f2); }, rewrite) : new Ops.Discard<>());
    env.execute("peer");
  }

  static void sql() throws Exception {
    Configuration c = conf();
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(o.get("par")), c);
    StreamTableEnvironment t = StreamTableEnvironment.create(env);
    boolean dedup = o.get("dedup").equals("on"), pg = o.get("sink").equals("jdbc");
    for (String[] kv : new String[][] {{"table.exec.mini-batch.enabled", "true"}, {"table.exec.mini-batch.allow-latency", "1 s"}, {"table.exec.mini-batch.size", "50000"},
        {"table.optimizer.agg-phase-strategy", "TWO_PHASE"}, {"table.exec.state.ttl", "1 h"}, {"table.exec.sink.upsert-materialize", "NONE"}, {"table.local-time-zone", "UTC"}})
      t.getConfig().set(kv[0], o.getOrDefault(kv[0], kv[1]));
    t.createTemporarySystemFunction("tick", Ops.Tick.class);
    t.executeSql("CREATE TABLE ev (`counter` STRING, id STRING, delta BIGINT, `at` BIGINT, ts AS TO_TIMESTAMP_LTZ(`at`, 3), pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ("
        + "'connector'='kafka','topic'='" + o.get("topic") + "','properties.bootstrap.servers'='" + o.get("bootstrap") + "','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',"
        + "'properties.max.poll.records'='10000','properties.fetch.max.bytes'='33554432','properties.max.partition.fetch.bytes'='4194304','properties.commit.offsets.on.checkpoint'='false',"
        // The record key is counter/key: grouping by it is grouping by both, and neither field has to be read.
        + "'key.format'='raw','key.fields'='counter','value.fields-include'='EXCEPT_KEY','value.format'='json')");
    String sel = "SELECT tick(id) AS id, `counter`, delta, ts, pt FROM ev";
    t.executeSql("CREATE VIEW src AS " + String.join(" UNION ALL ", Collections.nCopies(Integer.parseInt(o.get("repeat")), sel)));
    t.executeSql("CREATE VIEW uniq AS " + (dedup ? "SELECT `counter`, delta, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY pt) AS rn FROM src) WHERE rn = 1"
        : "SELECT `counter`, delta, ts FROM src WHERE id IS NOT NULL"));
    // Through a stream and back: otherwise the planner de-duplicates once for each of the two queries (their mini-batch
    // modes differ). A mini-batched dedup is not insert-only in Flink 2.2, so it alone goes unbatched (it has nothing to combine).
    var row = DataTypes.ROW(DataTypes.FIELD("counter", DataTypes.STRING()), DataTypes.FIELD("delta", DataTypes.BIGINT()), DataTypes.FIELD("ts", DataTypes.TIMESTAMP_LTZ(3))).bridgedTo(RowData.class);
    if (!o.containsKey("unshared")) {
      String mini = o.getOrDefault("table.exec.mini-batch.enabled", "true");
      t.getConfig().set("table.exec.mini-batch.enabled", "false");
      t.createTemporaryView("shared", t.toDataStream(t.from("uniq"), row), Schema.newBuilder().column("counter", DataTypes.STRING()).column("delta", DataTypes.BIGINT())
          .column("ts", DataTypes.TIMESTAMP_LTZ(3)).watermark("ts", "SOURCE_WATERMARK()").build());
      t.getConfig().set("table.exec.mini-batch.enabled", mini);
    } else t.executeSql("CREATE VIEW shared AS SELECT * FROM uniq");
    String with = "WITH ('connector'='jdbc','url'='" + o.get("pg") + "&reWriteBatchedInserts=true','sink.buffer-flush.max-rows'='5000','sink.buffer-flush.interval'='1s','table-name'=";
    t.executeSql("CREATE TABLE totals (`counter` STRING, total BIGINT, PRIMARY KEY (`counter`) NOT ENFORCED) " + (pg ? with + "'totals')" : "WITH ('connector'='blackhole')"));
    t.executeSql("CREATE TABLE windows (`counter` STRING, start_at TIMESTAMP(3), `sum` BIGINT, PRIMARY KEY (`counter`, start_at) NOT ENFORCED) " + (pg ? with + "'windows')" : "WITH ('connector'='blackhole')"));
    var set = t.createStatementSet();
    set.addInsertSql("INSERT INTO totals SELECT /*+ STATE_TTL('shared'='0s') */ `counter`, SUM(delta) FROM shared GROUP BY `counter`");
    set.addInsertSql("INSERT INTO windows SELECT `counter`, window_start, SUM(delta) FROM TABLE(TUMBLE(TABLE shared, DESCRIPTOR(ts), INTERVAL '" + Ops.WINDOW / 1000 + "' SECOND)) GROUP BY `counter`, window_start, window_end");
    if (o.containsKey("explain")) System.out.println(set.explain());
    if (o.containsKey("unshared")) set.execute().await();
    else { set.attachAsDataStream(); env.execute("peer"); }
  }

  public static void main(String[] args) throws Exception {
    for (String a : args) { int i = a.indexOf('='); o.put(a.substring(0, i), a.substring(i + 1)); }
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", o.getOrDefault("log", "error"));
    // The first job only warms the JVM up; what it writes is dropped.
    if (!o.get("warm").isEmpty()) run(o.get("warm"), Long.parseLong(o.get("warmEvents")), true);
    double seconds = run(o.get("topic"), Long.parseLong(o.get("events")), false);
    System.out.printf("{\"at\":\"end\",\"events\":%d,\"seconds\":%.3f}%n", Ops.seen.sum(), seconds);
    System.in.read(); // its end: whoever started us has looked at what it cost
    Runtime.getRuntime().halt(0);
  }

  /** Counts one topic to its end: seconds from the first event parsed until the job has finished. */
  static double run(String topic, long events, boolean warm) throws Exception {
    String measured = o.put("topic", topic);
    if (o.get("sink").equals("jdbc")) try (Connection c = DriverManager.getConnection(o.get("pg")); Statement st = c.createStatement()) {
      st.execute("DROP TABLE IF EXISTS totals, windows");
      st.execute("CREATE TABLE totals (counter text PRIMARY KEY, total bigint NOT NULL)");
      st.execute("CREATE TABLE windows (counter text, start_at timestamp, sum bigint NOT NULL, PRIMARY KEY (counter, start_at))");
    }
    delete(new File(o.get("dir")));
    Ops.seen.reset(); Ops.checkpoints.reset(); Ops.upserts.reset(); Ops.discarded.clear(); Ops.discardedWindows.clear(); Ops.first = 0;
    Ops.told = warm;
    Ops.failAt = warm ? 0 : Long.parseLong(o.getOrDefault("fail", "0"));
    if (o.get("mode").equals("sql")) sql(); else stream();
    double seconds = (System.nanoTime() - Ops.first) / 1e9;
    o.put("topic", measured);
    return seconds;
  }

  static void delete(File f) { File[] k = f.listFiles(); if (k != null) for (File x : k) delete(x); f.delete(); }
}
