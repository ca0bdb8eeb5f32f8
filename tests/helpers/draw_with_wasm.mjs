// Draws with an int8 file in onnxruntime-web's WebAssembly, as a browser does, one thread.
// Usage: node draw_with_wasm.mjs MODEL LATENT_SIZE LATENTS LABELS IMAGES
// LATENTS holds float32 in rows, LABELS int64 (empty for a model without classes); IMAGES gets the uint8 pixels.
import fs from "node:fs";
import * as ort from "onnxruntime-web";

const [model, latentSize, latentsPath, labelsPath, imagesPath] = process.argv.slice(2);
const bytes = (path) => new Uint8Array(fs.readFileSync(path)).buffer;

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(bytes(model), { executionProviders: ["wasm"] });
const latents = new Float32Array(bytes(latentsPath));
const feeds = { z: new ort.Tensor("float32", latents, [latents.length / Number(latentSize), Number(latentSize)]) };
const labels = new BigInt64Array(bytes(labelsPath));
if (labels.length > 0) feeds.label = new ort.Tensor("int64", labels, [labels.length]);
const { images } = await session.run(feeds);
fs.writeFileSync(imagesPath, images.data);
