package peer;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.time.Duration;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.runtime.state.internal.InternalValueState;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.operators.*;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;
import org.apache.kafka.clients.consumer.ConsumerRecord;

public class Ops {
  static final LongAdder seen = new LongAdder(), checkpoints = new LongAdder(), upserts = new LongAdder();
  static volatile long first = 0;
  static final Map<String, Long> discarded = new ConcurrentHashMap<>();
  static final Map<String, Long> discardedWindows = new ConcurrentHashMap<>();
  static final long WINDOW = Long.parseLong(Peer.o.get("window")); // milliseconds
  static final OutputTag<Tuple3<String, Long, Long>> WINDOWS = new OutputTag<>("windows", Types.TUPLE(Types.STRING, Types.LONG, Types.LONG));

  static volatile boolean told = true; // whether the first event of the measured run was announced

  static synchronized void first() {
    if (first == 0) first = System.nanoTime();
    if (!told) { told = true; System.out.println("{\"at\":\"first\"}"); }
  }

  static volatile long failAt = 0; // fail=N: throw once after N events, to check that a restart neither loses nor repeats any

  static void tick() {
    if (first == 0) first();
    seen.increment();
    if (failAt > 0 && seen.sum() >= failAt) { failAt = 0; throw new RuntimeException("asked to fail"); }
  }

  static StateTtlConfig ttl() {
    return StateTtlConfig.newBuilder(Duration.ofHours(1)).setUpdateType(StateTtlConfig.UpdateType.OnCreateAndWrite)
        .setStateVisibility(StateTtlConfig.StateVisibility.NeverReturnExpired).cleanupInRocksdbCompactFilter(100_000).build();
  }

  /** Streaming parser: no tree, no reflection. */
  public static class Parse implements KafkaRecordDeserializationSchema<Ev> {
    static final JsonFactory F = new JsonFactory();
    final long salt;
    public Parse(long salt) { this.salt = salt; }
    @Override public void deserialize(ConsumerRecord<byte[], byte[]> r, Collector<Ev> out) throws IOException {
      if (first == 0) first();
      Ev e = new Ev();
      e.counter = new String(r.key(), java.nio.charset.StandardCharsets.UTF_8); // counter/key: shorter than reading both fields
      try (JsonParser p = F.createParser(r.value())) {
        p.nextToken();
        for (String f; (f = p.nextFieldName()) != null; ) {
          switch (f) {
            case "id" -> { UUID u = UUID.fromString(p.nextTextValue()); e.hi = u.getMostSignificantBits() ^ salt; e.lo = u.getLeastSignificantBits(); }
            case "delta" -> e.delta = p.nextLongValue(0);
            case "at" -> e.at = p.nextLongValue(0);
            default -> { p.nextToken(); p.skipChildren(); }
          }
        }
      }
      out.collect(e);
    }
    @Override public TypeInformation<Ev> getProducedType() { return new Ev.Info(); }
  }

  /** Keyed by id: lets the first of each id through. */
  public static class Dedup extends RichFilterFunction<Ev> {
    transient ValueState<Boolean> had;
    @Override public void open(OpenContext c) {
      ValueStateDescriptor<Boolean> d = new ValueStateDescriptor<>("ids", Types.BOOLEAN);
      d.enableTimeToLive(ttl());
      had = getRuntimeContext().getState(d);
    }
    @Override public boolean filter(Ev e) throws Exception {
      tick();
      if (had.value() != null) return false;
      had.update(true);
      return true;
    }
  }

  /** What SQL's local aggregation does: a heap bundle before the shuffle, emptied before each barrier, so nothing of it needs a snapshot. */
  public static class LocalAgg extends AbstractStreamOperator<Ev> implements OneInputStreamOperator<Ev, Ev>, BoundedOneInput {
    final boolean count; transient HashMap<String, Ev> m; transient HashMap<Long, HashMap<String, Ev>> other; transient long minEnd;
    public LocalAgg(boolean count) { this.count = count; }
    @Override public void open() throws Exception { super.open(); other = new HashMap<>(); minEnd = Long.MAX_VALUE; }
    @Override public void processElement(StreamRecord<Ev> r) {
      if (count) tick();
      Ev e = r.getValue(); long w = e.at - Math.floorMod(e.at, WINDOW);
      if (m == null || w != mw) { mw = w; m = other.computeIfAbsent(w, k -> new HashMap<>()); minEnd = Math.min(minEnd, w + WINDOW); }
      Ev p = m.get(e.counter);
      if (p == null) m.put(e.counter, Ev.part(e.counter, e.delta, w)); else p.delta += e.delta;
    }
    transient long mw;
    void flush() {
      StreamRecord<Ev> r = new StreamRecord<>(null);
      for (Map.Entry<Long, HashMap<String, Ev>> x : other.entrySet())
        for (Ev p : x.getValue().values()) output.collect(r.replace(p, p.at));
      other.clear(); m = null; minEnd = Long.MAX_VALUE;
    }
    @Override public void processWatermark(Watermark w) throws Exception { if (w.getTimestamp() >= minEnd - 1) flush(); super.processWatermark(w); }
    @Override public void prepareSnapshotPreBarrier(long id) { flush(); }
    @Override public void endInput() { flush(); }
  }

  static class Acc { long total, w, s; HashMap<Long, Long> more; }

  /** Keyed by counter: RocksDB holds the totals and the open windows; between two barriers the changes gather on
   *  the heap and are folded in (and each changed total emitted once) just before the barrier. With dedup, ids are a
   *  MapState under the counter, so that one shuffle does for everything. */
  public static class Agg extends AbstractStreamOperator<Tuple2<String, Long>>
      implements OneInputStreamOperator<Ev, Tuple2<String, Long>>, Triggerable<String, Long>, BoundedOneInput {
    final boolean dedup, count;
    transient InternalValueState<String, VoidNamespace, Long> total; transient InternalValueState<String, Long, Long> window;
    transient MapState<Tuple2<Long, Long>, Boolean> ids; transient InternalTimerService<Long> timers;
    transient HashMap<String, Acc> bundle; transient long minEnd, wm;
    public Agg(boolean dedup, boolean count) { this.dedup = dedup; this.count = count; }

    @Override public void open() throws Exception {
      super.open();
      total = (InternalValueState<String, VoidNamespace, Long>) (Object) getOrCreateKeyedState(VoidNamespaceSerializer.INSTANCE, new ValueStateDescriptor<>("total", Types.LONG));
      total.setCurrentNamespace(VoidNamespace.INSTANCE);
      window = (InternalValueState<String, Long, Long>) (Object) getOrCreateKeyedState(LongSerializer.INSTANCE, new ValueStateDescriptor<>("window", Types.LONG));
      if (dedup) {
        MapStateDescriptor<Tuple2<Long, Long>, Boolean> d = new MapStateDescriptor<>("ids", Types.TUPLE(Types.LONG, Types.LONG), Types.BOOLEAN);
        d.enableTimeToLive(ttl());
        ids = getPartitionedState(d);
      }
      timers = getInternalTimerService("windows", LongSerializer.INSTANCE, this);
      bundle = new HashMap<>(); minEnd = Long.MAX_VALUE; wm = Long.MIN_VALUE;
    }

    @Override public void processElement(StreamRecord<Ev> r) throws Exception {
      if (count) tick();
      Ev e = r.getValue();
      if (dedup) {
        Tuple2<Long, Long> id = Tuple2.of(e.hi, e.lo);
        if (ids.contains(id)) return;
        ids.put(id, true);
      }
      long w = e.at - Math.floorMod(e.at, WINDOW);
      Acc a = bundle.computeIfAbsent(e.counter, k -> new Acc());
      a.total += e.delta;
      if (w + WINDOW - 1 <= wm) return; // late for its window, though not for the total
      minEnd = Math.min(minEnd, w + WINDOW);
      if (a.w == w || a.w == 0) { a.w = w; a.s += e.delta; }
      else { if (a.more == null) a.more = new HashMap<>(); a.more.merge(w, e.delta, Long::sum); }
    }

    void addWindow(long w, long d) throws Exception {
      window.setCurrentNamespace(w);
      Long old = window.value();
      window.update(old == null ? d : old + d);
      if (old == null) timers.registerEventTimeTimer(w, w + WINDOW - 1);
    }
    void foldWindows(Acc a) throws Exception {
      if (a.w != 0) { addWindow(a.w, a.s); a.w = a.s = 0; }
      if (a.more != null) { for (Map.Entry<Long, Long> x : a.more.entrySet()) addWindow(x.getKey(), x.getValue()); a.more = null; }
    }
    void fold(boolean totals) throws Exception {
      StreamRecord<Tuple2<String, Long>> r = new StreamRecord<>(null);
      for (Map.Entry<String, Acc> x : bundle.entrySet()) {
        setCurrentKey(x.getKey()); Acc a = x.getValue();
        foldWindows(a);
        if (!totals) continue;
        Long t = total.value(); t = t == null ? a.total : t + a.total;
        total.update(t);
        output.collect(r.replace(Tuple2.of(x.getKey(), t)));
      }
      minEnd = Long.MAX_VALUE;
      if (totals) bundle.clear();
    }
    @Override public void processWatermark(Watermark w) throws Exception {
      if (w.getTimestamp() >= minEnd - 1) fold(false);
      wm = w.getTimestamp();
      super.processWatermark(w);
    }
    @Override public void prepareSnapshotPreBarrier(long id) throws Exception { fold(true); }
    @Override public void endInput() throws Exception { fold(true); }
    @Override public void onEventTime(InternalTimer<String, Long> t) throws Exception {
      window.setCurrentNamespace(t.getNamespace());
      output.collect(WINDOWS, new StreamRecord<>(Tuple3.of(t.getKey(), t.getNamespace(), window.value()), t.getTimestamp()));
      window.clear();
    }
    @Override public void onProcessingTime(InternalTimer<String, Long> t) { }
    @Override public void notifyCheckpointComplete(long id) throws Exception {
      super.notifyCheckpointComplete(id);
      if (getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() == 0) checkpoints.increment();
    }
  }

  /** The plain way: a running total in keyed state, emitted at most once a second by a processing-time timer. */
  public static class Totals extends KeyedProcessFunction<String, Ev, Tuple2<String, Long>> implements org.apache.flink.api.common.state.CheckpointListener {
    final boolean count; transient ValueState<Long> total; transient ValueState<Boolean> timer;
    public Totals(boolean count) { this.count = count; }
    @Override public void open(OpenContext c) {
      total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", Types.LONG));
      timer = getRuntimeContext().getState(new ValueStateDescriptor<>("timer", Types.BOOLEAN));
    }
    @Override public void processElement(Ev e, Context c, Collector<Tuple2<String, Long>> out) throws Exception {
      if (count) tick();
      Long t = total.value(); total.update(t == null ? e.delta : t + e.delta);
      if (timer.value() == null) {
        timer.update(true);
        c.timerService().registerEventTimeTimer(Long.MAX_VALUE); // the end of a bounded run: processing-time timers do not fire then
        c.timerService().registerProcessingTimeTimer((System.currentTimeMillis() / 1000 + 1) * 1000);
      }
    }
    @Override public void onTimer(long ts, OnTimerContext c, Collector<Tuple2<String, Long>> out) throws Exception {
      if (timer.value() == null) return;
      timer.clear(); out.collect(Tuple2.of(c.getCurrentKey(), total.value()));
    }
    @Override public void notifyCheckpointComplete(long id) { if (getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() == 0) checkpoints.increment(); }
  }

  /** Counts instead of writing; keeps the last total of each counter for the check. */
  public static class Discard<T> implements Sink<T> {
    @Override public SinkWriter<T> createWriter(WriterInitContext c) {
      return new SinkWriter<>() {
        @Override public void write(T t, Context c) {
          upserts.increment();
          if (t instanceof Tuple3<?, ?, ?> w) discardedWindows.put(w.f0 + "@" + w.f1, (Long) w.f2);
          else if (t instanceof Tuple2<?, ?> x) discarded.put((String) x.f0, (Long) x.f1);
        }
        @Override public void flush(boolean end) { }
        @Override public void close() { }
      };
    }
  }

  /** Only so that the SQL run can be timed. */
  public static class Tick extends ScalarFunction {
    public String eval(String id) { tick(); return id; }
    @Override public boolean isDeterministic() { return false; }
  }
}
