import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own producer, driven from outside, for tests of what others write into our topic:
 *
 *   java -cp 'LIBS/*' ForeignProducer.java BROKERS [name=value of the producer's settings ...]
 *
 * Commands on stdin, one a line, words parted by tabs, "-" for null, "hex:00ff" for bytes:
 *
 *   producer NAME [name=value ...]   makes a producer with these settings besides those of the call
 *   begin NAME | commit NAME | abort NAME        transactions (needs transactional.id)
 *   send NAME TOPIC PARTITION KEY VALUE [HEADER=VALUE ...]
 *   flush NAME                       waits for what was sent
 *   close NAME                       an open transaction is left open, as by a crash
 *
 * Each command is answered by one line on stdout when it is done: "ok", or "error REASON"; flush
 * and commit by "ok PARTITION:OFFSET ..." of what was sent since the last of them.
 */
public class ForeignProducer {
  private static final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
  private static final Map<String, List<Future<RecordMetadata>>> sent = new HashMap<>();
  private static final Properties shared = new Properties();

  public static void main(String[] arguments) throws Exception {
    shared.put("bootstrap.servers", arguments[0]);
    shared.put("key.serializer", ByteArraySerializer.class.getName());
    shared.put("value.serializer", ByteArraySerializer.class.getName());
    for (int i = 1; i < arguments.length; i++) put(shared, arguments[i]);

    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.isEmpty()) continue;
      try {
        System.out.println(("ok " + run(line.split("\t", -1))).strip());
      } catch (Exception e) {
        System.out.println("error " + e.toString().replace('\n', ' '));
      }
      System.out.flush();
    }
    System.exit(0);
  }

  private static String run(String[] words) throws Exception {
    String name = words[1];
    switch (words[0]) {
      case "producer":
        var settings = new Properties();
        settings.putAll(shared);
        for (int i = 2; i < words.length; i++) put(settings, words[i]);
        var made = new KafkaProducer<byte[], byte[]>(settings);
        if (settings.containsKey("transactional.id")) made.initTransactions();
        producers.put(name, made);
        sent.put(name, new ArrayList<>());
        return "";
      case "begin":
        producers.get(name).beginTransaction();
        return "";
      case "send":
        sent.get(name).add(producers.get(name).send(recordOf(words)));
        return "";
      case "flush":
        producers.get(name).flush();
        return offsets(name);
      case "commit":
        producers.get(name).commitTransaction();
        return offsets(name);
      case "abort":
        producers.get(name).flush();
        producers.get(name).abortTransaction();
        sent.get(name).clear();
        return "";
      case "close":
        producers.remove(name).close(java.time.Duration.ZERO);
        return "";
      default:
        throw new IllegalArgumentException("unknown command " + words[0]);
    }
  }

  private static ProducerRecord<byte[], byte[]> recordOf(String[] words) {
    int partition = Integer.parseInt(words[3]);
    var record = new ProducerRecord<>(words[2], partition, bytes(words[4]), bytes(words[5]));
    for (int i = 6; i < words.length; i++) {
      int split = words[i].indexOf('=');
      byte[] value = bytes(words[i].substring(split + 1));
      record.headers().add(new RecordHeader(words[i].substring(0, split), value));
    }
    return record;
  }

  private static String offsets(String name) throws Exception {
    var text = new StringBuilder();
    for (var future : sent.get(name)) {
      text.append(future.get().partition()).append(':').append(future.get().offset()).append(' ');
    }
    sent.get(name).clear();
    return text.toString();
  }

  private static byte[] bytes(String word) {
    if (word.equals("-")) return null;
    if (word.startsWith("hex:")) return HexFormat.of().parseHex(word.substring(4));
    return word.getBytes(StandardCharsets.UTF_8);
  }

  private static void put(Properties settings, String assignment) {
    int split = assignment.indexOf('=');
    settings.put(assignment.substring(0, split), assignment.substring(split + 1));
  }
}
