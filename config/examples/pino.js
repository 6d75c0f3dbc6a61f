// An application's own log, by pino (npm: pino pino-elasticsearch pino-loki), to logrisk's `http` source (http.yaml): by
// Elasticsearch's bulk API and by Loki's push API. One of the two is enough.
const pino = require("pino");

const url = process.env.LOGRISK_URL ?? "http://logrisk.example.com:9200";
const auth = { username: "pino", password: process.env.LOGRISK_INGEST_TOKEN ?? "" };

module.exports = pino(pino.transport({
  targets: [
    { target: "pino-elasticsearch", options: { node: url, index: "logs", esVersion: 8, flushInterval: 1000, auth } },
    { target: "pino-loki", options: { host: url, labels: { app: "shop" }, interval: 1, basicAuth: auth } },
  ],
}));
