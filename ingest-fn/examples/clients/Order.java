import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Places one order and waits for its outcome: java Order.java URL FILE KEY */
public final class Order {
    private static final int ATTEMPTS_MAX = 10;
    private static final int POLLS_MAX = 300;
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build();

    /** Returns null without an answer. */
    private static HttpResponse<String> call(HttpRequest.Builder request) throws InterruptedException {
        try {
            return CLIENT.send(request.timeout(Duration.ofSeconds(15)).build(), BodyHandlers.ofString());
        } catch (IOException noAnswer) {
            return null;
        }
    }

    /** A member of a flat JSON object; a real client uses a JSON library. */
    private static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"?([^\",}]*)").matcher(json);
        return found.find() ? found.group(1) : null;
    }

    /** A gateway's or platform's answer has no `retryable`; only its 4xx are the client's fault. */
    private static boolean isRetryable(HttpResponse<String> answer) {
        String retryable = member(answer.body(), "retryable");
        int status = answer.statusCode();
        return retryable != null
                ? retryable.equals("true")
                : status < 400 || status == 408 || status == 429 || status >= 500;
    }

    private static void sleep(HttpResponse<String> answer, double otherwise) throws InterruptedException {
        String asked = answer == null ? null : answer.headers().firstValue("Retry-After").orElse(null);
        double seconds = asked != null && asked.matches("\\d+") ? Double.parseDouble(asked) : otherwise;
        Thread.sleep((long) (seconds * 1000));
    }

    /** Sends the order until it is accepted. Each attempt has the same key, so it stays one order. */
    private static String place(String url, Path body, String key) throws IOException, InterruptedException {
        HttpResponse<String> answer = null;
        for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
            answer = call(HttpRequest.newBuilder(URI.create(url + "/v1/orders"))
                    .header("Content-Type", "application/json")
                    .header("Idempotency-Key", key)
                    .POST(HttpRequest.BodyPublishers.ofFile(body)));
            if (answer != null && answer.statusCode() == 202) {
                return member(answer.body(), "order_id");
            }
            if (answer != null && !isRetryable(answer)) {
                break;
            }
            double jitter = ThreadLocalRandom.current().nextDouble(0.5, 1);
            sleep(answer, Math.min(30, Math.pow(2, attempt)) * jitter);
        }
        throw new IOException("not accepted: " + (answer == null ? "no answer" : answer.body()));
    }

    /** Asks until the order is decided. A 404 means that it is still queued. */
    private static String outcome(String url, String orderId) throws IOException, InterruptedException {
        HttpResponse<String> answer = null;
        for (int poll = 0; poll < POLLS_MAX; poll++) {
            answer = call(HttpRequest.newBuilder(URI.create(url + "/v1/orders/" + orderId)));
            int status = answer == null ? 0 : answer.statusCode();
            String state = status == 200 ? member(answer.body(), "state") : null;
            if (state != null && Set.of("confirmed", "rejected").contains(state)) {
                return state;
            }
            if (Set.of(400, 401, 403).contains(status)) {
                break;
            }
            sleep(answer, 2);
        }
        throw new IOException("no outcome: " + (answer == null ? "no answer" : answer.body()));
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length != 3) {
            System.err.println("java Order.java URL FILE KEY");
            System.exit(2);
        }
        String orderId = place(arguments[0], Path.of(arguments[1]), arguments[2]);
        String state = outcome(arguments[0], orderId);
        System.out.println(orderId + " " + state);
        System.exit(state.equals("confirmed") ? 0 : 1);
    }
}
