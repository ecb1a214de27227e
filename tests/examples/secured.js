// wss:// with a token, by the `ws` library: in a header, and among the protocols, as a browser's page has to.
//
// node secured.js wss://HOST:PORT CA.pem TOKEN   Exits with 1 when something differs.

const assert = require("assert");
const fs = require("fs");
const WebSocket = require("ws");

const [url, caFile, token] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const topic = "persistent/public/default/secured-" + process.pid + "-" + Date.now();

// The socket, or the status of the refusal.
function open(path, protocols, headers) {
  const socket = new WebSocket(url + "/ws/v2/" + path, protocols, { ca, headers });
  return new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
    socket.on("error", reject);
    socket.on("open", () => resolve(socket));
  });
}

const next = (socket) => new Promise((resolve) => socket.once("message", (data) => resolve(JSON.parse(data))));

const WAYS = [
  { protocols: [], headers: { Authorization: "Bearer " + token }, answered: "" },
  { protocols: ["pulsar", "pulsar-token." + token], headers: {}, answered: "pulsar" },
];

async function main() {
  for (const { protocols, headers, answered } of WAYS) {
    const consumer = await open("consumer/" + topic + "/sub?subscriptionType=Shared", protocols, headers);
    const producer = await open("producer/" + topic, protocols, headers);
    assert.equal(producer.protocol, answered);
    const ack = next(producer);
    const message = next(consumer);
    producer.send(JSON.stringify({ payload: Buffer.from("hello").toString("base64") }));
    assert.equal((await ack).result, "ok");
    const { messageId, payload } = await message;
    assert.equal(Buffer.from(payload, "base64").toString(), "hello");
    consumer.send(JSON.stringify({ messageId }));
    consumer.close();
    producer.close();
  }
  assert.equal(await open("reader/" + topic, [], {}), 401);
  assert.equal(await open("reader/" + topic, ["pulsar", "pulsar-token.a.b.c"], {}), 401);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
