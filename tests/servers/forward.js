// Sends records with @fluent-org/logger and ends when all are acknowledged:  forward.js OPTIONS COUNT
const fs = require("fs");
const { FluentClient } = require("@fluent-org/logger");

const options = JSON.parse(process.argv[2]);
for (const name of ["ca", "cert", "key"]) {
  const tls = options.socket.tls;
  if (tls?.[name]) tls[name] = fs.readFileSync(tls[name]);
}
const client = new FluentClient("app", { ack: { ackTimeout: 60000 }, milliseconds: true, ...options });
const kubernetes = { namespace_name: "prod", pod_name: "shop-1", container_name: "web", labels: { "app.kubernetes.io/name": "shop" } };
const sent = [];
for (let number = 0; number < Number(process.argv[3]); number++) {
  sent.push(client.emit("shop", { log: `request ${number} refused`, level: "error", kubernetes }, new Date(1768473045123)));
}
Promise.all(sent).then(() => client.disconnect()).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
// A refused handshake is no error of an event: the client tries again for ever.
setTimeout(() => process.exit(2), Number(process.env.PATIENCE_MS ?? 60000));
