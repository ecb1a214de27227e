// permessage-deflate with the `ws` library: a producer, a consumer and readers of one topic, half of them without it.
//
// node compression.js ws://HOST:PORT   Exits with 1 when something differs.

const assert = require("assert");
const WebSocket = require("ws");

const MESSAGES = 50;
const READERS = 6;
const topic = "persistent/public/default/compression-" + process.pid + "-" + Date.now();
const text = (n) => n + ": " + "all work and no play ".repeat(60);

// `threshold: 0`: acks are compressed too.
function open(role, rest, compressed) {
  const options = { perMessageDeflate: compressed && { threshold: 0 } };
  const socket = new WebSocket(process.argv[2] + "/ws/v2/" + role + "/" + topic + rest, options);
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => {
      assert.equal(socket.extensions, compressed ? "permessage-deflate" : "");
      resolve(socket);
    });
  });
}

// Takes all messages, in order, and says that it has handled each. Gives the bytes that the connection has brought.
function receive(socket) {
  return new Promise((resolve, reject) => {
    let count = 0;
    socket.on("close", (code) => reject(new Error("closed with " + code)));
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      assert.equal(Buffer.from(message.payload, "base64").toString(), text(count));
      socket.send(JSON.stringify({ messageId: message.messageId }));
      count += 1;
      if (count == MESSAGES) resolve(socket._socket.bytesRead);
    });
  });
}

function publish(producer) {
  return new Promise((resolve, reject) => {
    let acks = 0;
    producer.on("close", (code) => reject(new Error("closed with " + code)));
    producer.on("message", (data) => {
      assert.equal(JSON.parse(data).result, "ok");
      acks += 1;
      if (acks == MESSAGES) resolve();
    });
    for (let n = 0; n < MESSAGES; n++) {
      producer.send(JSON.stringify({ payload: Buffer.from(text(n)).toString("base64") }));
    }
  });
}

async function main() {
  const compressed = [await open("consumer", "/sub", true)];
  const plain = [];
  for (let n = 0; n < READERS; n++) {
    const sockets = n % 2 ? compressed : plain;
    // Some have small windows.
    sockets.push(await open("reader", n < 4 ? "?receiverQueueSize=" + (n + 1) : "", n % 2 == 1));
  }
  const producer = await open("producer", "", true);
  const sockets = [...compressed, ...plain];
  const received = Promise.all(sockets.map(receive));
  await publish(producer);
  const bytes = await received;
  const most = Math.max(...bytes.slice(0, compressed.length));
  const least = Math.min(...bytes.slice(compressed.length));
  assert(most < least / 2, "compressed: " + most + " bytes, plain: " + least);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
