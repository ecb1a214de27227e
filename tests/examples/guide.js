// The Node.js programs of Pulsar's WebSocket guide: producer, consumer and reader on `ws`.
//
// guide.js ws://HOST:PORT   Exits with 1 and says what differs. The guide's programs run for ever; these stop after a message.

const assert = require('assert');
const crypto = require('crypto');
const WebSocket = require('ws');

const TIMEOUT_MS = 20000;

const topic = 'persistent/public/default/guide-node-' + crypto.randomUUID();
const connect = (path) => new WebSocket(`${process.argv[2]}/ws/v2/${path}`);

const fail = (what) => {
  console.error('node:', what);
  process.exit(1);
};
process.on('uncaughtException', fail);
setTimeout(() => fail('no answer in time'), TIMEOUT_MS);

const opened = (socket) => new Promise((done) => socket.on('open', done));

// The first message, acked as the guide does.
const received = (socket) => new Promise((done) => {
  socket.on('message', (text) => {
    const message = JSON.parse(text);
    socket.send(JSON.stringify({ messageId: message.messageId }));
    done(message);
  });
});

const closed = (socket) => new Promise((done) => {
  socket.on('close', done);
  socket.close();
});

(async () => {
  const consumer = connect(`consumer/${topic}/my-sub`);
  const reader = connect(`reader/${topic}`);
  const producer = connect(`producer/${topic}`);
  const messages = Promise.all([received(consumer), received(reader)]);
  await Promise.all([consumer, reader, producer].map(opened));

  const properties = { key1: 'value1', key2: 'value2' };
  const answered = new Promise((done) => producer.on('message', done));
  producer.send(JSON.stringify({
    payload: Buffer.from('Hello World').toString('base64'),
    properties,
    context: '1',
  }));
  const answer = JSON.parse(await answered);
  assert.strictEqual(answer.result, 'ok');
  assert.strictEqual(answer.context, '1');

  for (const message of await messages) {
    assert.strictEqual(Buffer.from(message.payload, 'base64').toString(), 'Hello World');
    assert.deepStrictEqual(message.properties, properties);
    assert.strictEqual(message.messageId, answer.messageId);
  }
  const codes = await Promise.all([consumer, reader, producer].map(closed));
  // 1005 stands for "no code": what was sent comes back (RFC 6455, 5.5.1).
  assert.deepStrictEqual(codes, [1005, 1005, 1005]);
  console.log('node: ok');
  process.exit(0);
})();
