import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/**
 * The official Java client behind a line protocol, for tests of other clients and brokers.
 *
 * <p>The arguments are the endpoint and, on a broker that checks signatures, access key and secret key. Commands come
 * by standard input, fields are separated by tabs, absent ones are a dash:
 *
 * <ul>
 *   <li>{@code send TOPIC TAG KEYS PROPERTIES GROUP DELAY_MS BODY}: keys by commas, properties as {@code a=b,c=d}, the
 *       body in hex; responds {@code ok MESSAGE_ID}
 *   <li>{@code subscribe GROUP TOPIC KIND EXPRESSION}: starts a consumer, kind is tag or sql; responds {@code ok}
 *   <li>{@code receive GROUP COUNT}: receives and acks that many messages; responds with a line for each one,
 *       {@code message ID TAG KEYS PROPERTIES GROUP ATTEMPT BODY}, then {@code ok}
 * </ul>
 *
 * A failed command responds {@code error TEXT}.
 */
public final class OfficialClient {
    private static final Duration INVISIBLE = Duration.ofSeconds(30);
    private static final Duration RECEIVE_MAX = Duration.ofSeconds(60);

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration configuration;
    private final Map<String, Producer> producers = new HashMap<>();
    private final Map<String, SimpleConsumer> consumers = new HashMap<>();

    private OfficialClient(String[] args) {
        var builder = ClientConfiguration.newBuilder().setEndpoints(args[0]).enableSsl(false);
        if (args.length > 2) {
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(args[1], args[2]));
        }
        configuration = builder.build();
    }

    public static void main(String[] args) throws Exception {
        var client = new OfficialClient(args);
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String answer;
            try {
                answer = client.execute(line.split("\t"));
            } catch (Exception error) {
                answer = "error\t" + error.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
            System.out.flush();
        }
        // The client's threads would keep the process alive.
        System.exit(0);
    }

    private String execute(String[] words) throws Exception {
        switch (words[0]) {
            case "send":
                return send(words);
            case "subscribe":
                return subscribe(words);
            case "receive":
                return receive(words[1], Integer.parseInt(words[2]));
            default:
                throw new IllegalArgumentException("unknown command " + words[0]);
        }
    }

    private String send(String[] words) throws Exception {
        String topic = words[1];
        Producer producer = producers.get(topic);
        if (producer == null) {
            producer = provider.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic).build();
            producers.put(topic, producer);
        }
        MessageBuilder message =
            provider.newMessageBuilder().setTopic(topic).setBody(HexFormat.of().parseHex(words[7]));
        present(words[2]).ifPresent(message::setTag);
        present(words[3]).ifPresent(keys -> message.setKeys(keys.split(",")));
        present(words[4]).ifPresent(properties -> {
            for (String property : properties.split(",")) {
                message.addProperty(property.split("=")[0], property.split("=")[1]);
            }
        });
        present(words[5]).ifPresent(message::setMessageGroup);
        present(words[6]).ifPresent(delay ->
            message.setDeliveryTimestamp(System.currentTimeMillis() + Long.parseLong(delay)));
        return "ok\t" + producer.send(message.build()).getMessageId();
    }

    private String subscribe(String[] words) throws Exception {
        var type = words[3].equals("sql") ? FilterExpressionType.SQL92 : FilterExpressionType.TAG;
        consumers.put(words[1], provider.newSimpleConsumerBuilder().setClientConfiguration(configuration)
            .setConsumerGroup(words[1]).setAwaitDuration(Duration.ofSeconds(5))
            .setSubscriptionExpressions(Map.of(words[2], new FilterExpression(words[4], type))).build());
        return "ok";
    }

    private String receive(String group, int count) throws Exception {
        SimpleConsumer consumer = consumers.get(group);
        long deadline = System.nanoTime() + RECEIVE_MAX.toNanos();
        List<String> lines = new ArrayList<>();
        while (lines.size() < count && System.nanoTime() < deadline) {
            for (MessageView view : consumer.receive(count - lines.size(), INVISIBLE)) {
                lines.add(describe(view));
                consumer.ack(view);
            }
        }
        lines.add(lines.size() == count ? "ok" : "error\treceived " + lines.size() + " of " + count);
        return String.join("\n", lines);
    }

    private static String describe(MessageView view) {
        byte[] body = new byte[view.getBody().remaining()];
        view.getBody().get(body);
        List<String> properties = new ArrayList<>();
        new TreeMap<>(view.getProperties()).forEach((name, value) -> properties.add(name + "=" + value));
        return String.join("\t", "message", view.getMessageId().toString(), view.getTag().orElse("-"),
            dash(String.join(",", view.getKeys())), dash(String.join(",", properties)),
            view.getMessageGroup().orElse("-"), Integer.toString(view.getDeliveryAttempt()),
            HexFormat.of().formatHex(body));
    }

    private static Optional<String> present(String word) {
        return word.equals("-") ? Optional.empty() : Optional.of(word);
    }

    private static String dash(String word) {
        return word.isEmpty() ? "-" : word;
    }
}
