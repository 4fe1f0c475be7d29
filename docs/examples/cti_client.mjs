// A desktop in 50 lines, for browsers and Node 22: follow what concerns me, reconnect without losing or repeating
// anything, give commands.   node cti_client.mjs ws://localhost:8080/cti TOKEN [COMMAND '{"param": "value"}']

export class Desktop {
  seq = null; // the last event seen; keep it in localStorage to survive a reload of the page
  waiting = new Map();

  constructor(url, token, onEvent, onSnapshot = () => {}) {
    Object.assign(this, { url, token, onEvent, onSnapshot });
  }

  connect() {
    // A browser cannot send an Authorization header with a WebSocket: the token goes as a second subprotocol.
    this.socket = new WebSocket(this.url, ["tandem.cti", `tandem.token.${this.token}`]);
    this.socket.onmessage = ({ data }) => this.handle(JSON.parse(data));
    this.socket.onclose = () => (this.closed ? null : setTimeout(() => this.connect(), 1000));
    return new Promise((resolve) => (this.socket.onopen = () => resolve(this.subscribe())));
  }

  async subscribe() {
    const result = await this.request("Subscribe", { all: true, ...(this.seq === null ? {} : { since: this.seq }) });
    if (!result.resumed) this.seq = result.seq;
    if (result.snapshot) this.onSnapshot(result.snapshot);
  }

  // The id makes a command safe to repeat: with the same one it is answered again and not carried out again.
  request(method, params = {}, id = crypto.randomUUID()) {
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  handle({ id, method, params, result, error }) {
    if (method === "event" || method === "position") this.seq = params.seq;
    if (method === "event") this.onEvent(params);
    const asked = this.waiting.get(id);
    if (asked && this.waiting.delete(id)) error ? asked.reject(new Error(error.message)) : asked.resolve(result);
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}

if (globalThis.process?.argv[2]) {
  const [url, token, command, params] = process.argv.slice(2);
  const print = (value) => console.log(JSON.stringify(value));
  const desktop = new Desktop(url, token, command ? () => {} : print, command ? undefined : (s) => print({ snapshot: s }));
  await desktop.connect();
  if (command) await desktop.request(command, JSON.parse(params)).then(print).finally(() => desktop.close());
}
