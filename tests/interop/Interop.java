// Pulsar's Java client on a pipe: one JSON question per line in, one JSON answer per line out (see tests/it/interop).
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.ConsumerBuilder;
import org.apache.pulsar.client.api.CryptoKeyReader;
import org.apache.pulsar.client.api.EncryptionKeyInfo;
import org.apache.pulsar.client.api.HashingScheme;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.MessageIdAdv;
import org.apache.pulsar.client.api.MessageRoutingMode;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.TypedMessageBuilder;

public class Interop {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Of one message; what does not come by then does not come. */
    private static final int TIMEOUT_SECONDS = 30;

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        // Logs are no answers.
        System.setOut(System.err);
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build()) {
            String line;
            while ((line = questions.readLine()) != null) {
                JsonNode question = JSON.readTree(line);
                JsonNode answer = question.has("publish") ? publish(client, question) : read(client, question);
                answers.write(JSON.writeValueAsBytes(answer));
                answers.write('\n');
                answers.flush();
            }
        }
    }

    /** Publishes the messages; answers with their partitions. */
    private static JsonNode publish(PulsarClient client, JsonNode question) throws Exception {
        boolean batching = question.path("batching").asBoolean();
        ProducerBuilder<byte[]> builder = client.newProducer()
                .topic(question.get("topic").asText())
                .compressionType(CompressionType.valueOf(question.path("compression").asText("NONE")))
                .hashingScheme(HashingScheme.valueOf(question.path("hashing").asText("JavaStringHash")))
                .messageRoutingMode(MessageRoutingMode.RoundRobinPartition)
                .enableBatching(batching);
        if (batching) {
            builder.batchingMaxPublishDelay(1, TimeUnit.SECONDS);
        }
        if (question.path("chunking").asBoolean()) {
            builder.enableChunking(true);
        }
        if (question.has("keys")) {
            builder.cryptoKeyReader(new Keys(Path.of(question.get("keys").asText())));
            question.get("encryptFor").forEach(name -> builder.addEncryptionKey(name.asText()));
        }
        List<CompletableFuture<MessageId>> sent = new ArrayList<>();
        ArrayNode partitions = JSON.createArrayNode();
        try (Producer<byte[]> producer = builder.create()) {
            for (JsonNode message : question.get("publish")) {
                sent.add(message(producer, message).sendAsync());
            }
            producer.flush();
            for (CompletableFuture<MessageId> id : sent) {
                partitions.add(((MessageIdAdv) id.get()).getPartitionIndex());
            }
        }
        return partitions;
    }

    private static TypedMessageBuilder<byte[]> message(Producer<byte[]> producer, JsonNode message) {
        TypedMessageBuilder<byte[]> builder = producer.newMessage()
                .value(Base64.getDecoder().decode(message.get("payload").asText()));
        if (message.has("key")) {
            builder.key(message.get("key").asText());
        }
        if (message.has("keyBytes")) {
            builder.keyBytes(Base64.getDecoder().decode(message.get("keyBytes").asText()));
        }
        if (message.has("eventTime")) {
            builder.eventTime(message.get("eventTime").asLong());
        }
        message.path("properties").fields()
                .forEachRemaining(property -> builder.property(property.getKey(), property.getValue().asText()));
        return builder;
    }

    /** Reads so many messages from the topic's beginning. */
    private static JsonNode read(PulsarClient client, JsonNode question) throws Exception {
        ArrayNode messages = JSON.createArrayNode();
        ConsumerBuilder<byte[]> builder = client.newConsumer()
                .topic(question.get("topic").asText())
                .subscriptionName("interop-java")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
        if (question.has("keys")) {
            builder.cryptoKeyReader(new Keys(Path.of(question.get("keys").asText())));
        }
        try (Consumer<byte[]> consumer = builder.subscribe()) {
            while (messages.size() < question.get("read").asInt()) {
                Message<byte[]> message = consumer.receive(TIMEOUT_SECONDS, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException("only " + messages.size() + " messages came");
                }
                ObjectNode read = messages.addObject();
                read.put("payload", Base64.getEncoder().encodeToString(message.getData()));
                read.put("messageId", Base64.getEncoder().encodeToString(message.getMessageId().toByteArray()));
                read.put("partition", ((MessageIdAdv) message.getMessageId()).getPartitionIndex());
                if (message.hasKey()) {
                    read.put("key", message.getKey());
                }
                if (message.getEventTime() != 0) {
                    read.put("eventTime", message.getEventTime());
                }
                ObjectNode properties = read.putObject("properties");
                message.getProperties().forEach(properties::put);
                consumer.acknowledge(message);
            }
        }
        return messages;
    }

    /** The keys of a folder: name.public.pem and name.private.pem. */
    private record Keys(Path folder) implements CryptoKeyReader {
        @Override
        public EncryptionKeyInfo getPublicKey(String name, Map<String, String> metadata) {
            return key(name + ".public.pem");
        }

        @Override
        public EncryptionKeyInfo getPrivateKey(String name, Map<String, String> metadata) {
            return key(name + ".private.pem");
        }

        private EncryptionKeyInfo key(String file) {
            try {
                return new EncryptionKeyInfo(Files.readAllBytes(folder.resolve(file)), null);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
