// Opens a one-time link (docs/spec/links.md). What opens it is behind the # of the address, which
// browsers do not send; the server is told an id and a proof, both made from it one-way.
"use strict";
(() => {
  const bytes = new TextEncoder();
  const by = (id) => document.getElementById(id);
  const say = (text) => { by("told").textContent = text; by("told").hidden = false; };

  const parse = (text) => {
    let data;
    try {
      data = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")),
        (char) => char.charCodeAt(0));
    } catch { return null; }
    if (data.length !== 50 || data[0] !== 1 || data[1] > 1) return null;
    return { hasPassphrase: data[1] === 1, user: data.slice(2, 18), secret: data.slice(18) };
  };

  const hkdf = async (material, info, size) => {
    const key = await crypto.subtle.importKey("raw", material, "HKDF", false, ["deriveBits"]);
    const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: bytes.encode(info) };
    return new Uint8Array(await crypto.subtle.deriveBits(how, key, 8 * size));
  };

  const stretch = async (link, passphrase) => hashwasm.argon2id({
    password: bytes.encode(passphrase), salt: await hkdf(link.secret, "adyton/v1/link-salt", 16),
    memorySize: 65536, iterations: 3, parallelism: 4, hashLength: 32, outputType: "binary",
  });

  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { whole.set(part, at); at += part.length; }
    return whole;
  };

  const field = (data) => {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, data.length);
    return joined(head, data);
  };

  const base64 = (data) => btoa(String.fromCharCode(...data));

  const unbox = async (key, id, box) => {
    const data = Uint8Array.from(atob(box), (char) => char.charCodeAt(0));
    if (data[0] !== 1) throw new Error("format");
    const aead = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    const how = {
      name: "AES-GCM", iv: data.slice(1, 13), tagLength: 128,
      additionalData: joined(field(bytes.encode("adyton/v1/link")), field(id)),
    };
    const plain = new Uint8Array(await crypto.subtle.decrypt(how, aead, data.slice(13)));
    const size = (plain[0] << 8) | plain[1];
    return { kind: new TextDecoder().decode(plain.slice(2, 2 + size)), value: plain.slice(2 + size) };
  };

  const show = ({ kind, value }) => {
    let text = null;
    try { text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value); } catch { /* bytes */ }
    by("value").textContent = text === null ? `${value.length} bytes, which are no text` : text;
    by("copy").hidden = text === null;
    by("copy").onclick = () => navigator.clipboard.writeText(text);
    by("save").href = URL.createObjectURL(new Blob([value], { type: "application/octet-stream" }));
    by("save").title = kind;
    by("ask").hidden = true;
    by("shown").hidden = false;
  };

  const open = async (link) => {
    const passphrase = by("passphrase").value;
    if (link.hasPassphrase && !passphrase) { say("The link wants a passphrase."); return; }
    by("open").disabled = true;
    by("told").hidden = true;
    let taken = false;
    try {
      const material = link.hasPassphrase
        ? joined(link.secret, await stretch(link, passphrase)) : link.secret;
      const id = await hkdf(link.secret, "adyton/v1/link-id", 16);
      const proof = await hkdf(material, "adyton/v1/link-proof", 32);
      const answer = await fetch("/v1/adyton/links/open", {
        method: "POST", headers: { "Content-Type": "application/json" }, credentials: "omit",
        cache: "no-store", referrerPolicy: "no-referrer",
        body: JSON.stringify({ user: base64(link.user), id: base64(id), proof: base64(proof) }),
      });
      if (answer.status === 404) {
        say("The link was opened before, has expired, or never was, or the passphrase is wrong.");
      } else if (!answer.ok) {
        say("The server can't answer now. Nothing was opened; try again later.");
      } else {
        taken = true;
        const box = (await answer.json()).box;
        show(await unbox(await hkdf(material, "adyton/v1/link-key", 32), id, box));
        return;
      }
    } catch {
      say(taken ? "What the server gave does not open by this link."
        : "The server can't be reached. Try again later.");
    }
    by("open").disabled = false;
  };

  const start = () => {
    const link = parse(location.hash.slice(1));
    // Neither the history nor a copied address keeps what opens the link.
    history.replaceState(null, "", location.pathname);
    if (!link) { say("This is not a whole one-time link."); return; }
    by("told").hidden = true;
    by("shown").hidden = true;
    by("open").disabled = false;
    by("wanted").hidden = !link.hasPassphrase;
    by("ask").onsubmit = (event) => { event.preventDefault(); open(link); };
    by("ask").hidden = false;
  };
  addEventListener("hashchange", () => { if (location.hash) start(); });
  start();
})();
