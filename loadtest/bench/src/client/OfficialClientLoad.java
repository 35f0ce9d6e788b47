import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.Scanner;
import java.util.concurrent.atomic.LongAdder;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/**
 * The official Java client, which sends or receives without end. It prints the number of messages so far for each line that it
 * reads. The arguments are work, endpoint, topic, group and concurrency; access key and secret are in the environment.
 */
public final class OfficialClientLoad {
    private interface Step {
        int run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        var provider = ClientServiceProvider.loadService();
        var builder = ClientConfiguration.newBuilder().setEndpoints(args[1]).enableSsl(false);
        String accessKey = System.getenv("SPILLWAY_BENCH_ACCESS_KEY");
        if (accessKey != null) {
            String secret = System.getenv("SPILLWAY_BENCH_SECRET_KEY");
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(accessKey, secret));
        }
        Step step = args[0].equals("send")
            ? sends(provider, builder.build(), args[2])
            : receives(provider, builder.build(), args[2], args[3]);
        var count = new LongAdder();
        for (int thread = 0; thread < Integer.parseInt(args[4]); thread++) {
            new Thread(() -> repeat(step, count)).start();
        }
        var input = new Scanner(System.in);
        while (input.hasNextLine()) {
            input.nextLine();
            System.out.println(count.sum());
            System.out.flush();
        }
        System.exit(0);
    }

    private static void repeat(Step step, LongAdder count) {
        try {
            while (true) {
                count.add(step.run());
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static Step sends(ClientServiceProvider provider, ClientConfiguration configuration, String topic)
            throws Exception {
        Producer producer = provider.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic).build();
        byte[] body = "x".repeat(300).getBytes(StandardCharsets.UTF_8);
        return () -> {
            producer.send(provider.newMessageBuilder().setTopic(topic).setBody(body).build());
            return 1;
        };
    }

    private static Step receives(
            ClientServiceProvider provider, ClientConfiguration configuration, String topic, String group)
            throws Exception {
        SimpleConsumer consumer = provider.newSimpleConsumerBuilder().setClientConfiguration(configuration)
            .setConsumerGroup(group).setAwaitDuration(Duration.ofSeconds(5))
            .setSubscriptionExpressions(Collections.singletonMap(topic, FilterExpression.SUB_ALL)).build();
        return () -> {
            int received = 0;
            for (MessageView message : consumer.receive(1, Duration.ofSeconds(60))) {
                consumer.ack(message);
                received++;
            }
            return received;
        };
    }
}
