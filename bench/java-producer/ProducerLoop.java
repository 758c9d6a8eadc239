import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own Java client, as fast as it goes: the loop of its ProducerPerformance with keys, so
 * that records have partitions as ours have. Arguments: brokers, topic, records of a run, runs, keys.
 * Says after each run: records/s and CPU microseconds of the process a record.
 */
public final class ProducerLoop {
  public static void main(String[] args) throws Exception {
    String topic = args[1];
    int records = Integer.parseInt(args[2]);
    int runs = Integer.parseInt(args[3]);
    int keys = Integer.parseInt(args[4]);
    var config = Map.<String, Object>of(
        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
        ProducerConfig.ACKS_CONFIG, "all",
        ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true,
        ProducerConfig.LINGER_MS_CONFIG, 5,
        ProducerConfig.BATCH_SIZE_CONFIG, 128 * 1024);
    byte[][] names = new byte[keys][];
    for (int i = 0; i < keys; i++) {
      names[i] = String.format("video_views/v_%05d", i).getBytes(StandardCharsets.UTF_8);
    }
    byte[] value = ("{\"id\":\"m0f3k2a1x0123456789abcdef.3.1234567\",\"counter\":\"video_views\","
        + "\"key\":\"v_01234\",\"delta\":1,\"at\":1700000000000}").getBytes(StandardCharsets.UTF_8);
    var random = new Random(1);
    try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (int run = 0; run < runs; run++) {
        var failed = new AtomicLong();
        long begun = System.nanoTime();
        long cpu = cpuNanos();
        for (int i = 0; i < records; i++) {
          byte[] key = names[random.nextInt(keys)];
          producer.send(new ProducerRecord<>(topic, key, value), (metadata, error) -> {
            if (error != null) failed.incrementAndGet();
          });
        }
        producer.flush();
        double seconds = (System.nanoTime() - begun) / 1e9;
        double cpuUs = (cpuNanos() - cpu) / 1e3 / records;
        if (failed.get() > 0) throw new IllegalStateException(failed + " records failed");
        System.out.printf("%.0f %.3f%n", records / seconds, cpuUs);
      }
    }
  }

  private static long cpuNanos() {
    var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime();
  }
}
