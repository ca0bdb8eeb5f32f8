// Draws images with the engine of a page of gan-page: node draw_with_page.mjs PAGE ADDRESSES.json IMAGES

import fs from "node:fs";
import vm from "node:vm";

const [page, addresses, target] = process.argv.slice(2);
const part = (id) => fs.readFileSync(page, "utf8").match(new RegExp(`id="${id}">([^]*?)</script>`))[1];
const answers = [];
const engine = vm.createContext({ TextDecoder, postMessage: (answer) => answers.push(answer) });
vm.runInContext(part("engine"), engine);
const send = (data) => {
  engine.data = data;
  vm.runInContext("onmessage({ data })", engine);
  return answers.at(-1);
};
send({ bytes: new Uint8Array(Buffer.from(part("model"), "base64")), facts: JSON.parse(part("settings")) });
const wanted = JSON.parse(fs.readFileSync(addresses, "utf8")).map((address) => ({ ...address, seed: BigInt(address.seed) }));
fs.writeFileSync(target, Buffer.concat(send({ addresses: wanted }).images.map((image) => Buffer.from(image))));
