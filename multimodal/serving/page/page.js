"use strict";

const byId = (id) => document.getElementById(id);
const MOST_RESULTS = 50;
// Viridis at five places: dark is little, light is much, to every eye.
const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
let about = { most_bytes: Infinity };

const RAMP = Array.from({ length: 256 }, (_, value) => {
  const place = (value / 255) * (COLOURS.length - 1), at = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[at].map((low, channel) => Math.round(low + (COLOURS[at + 1][channel] - low) * (place - at)));
});

const percent = (share) => (share >= 0.1 || share === 0 ? Math.round(100 * share) : (100 * share).toFixed(1)) + " %";

function notice(message) {
  byId("notice").textContent = message;
  byId("notice").hidden = !message;
}

/* One picture on the page: what came of it, and what is shown of that. */
class Result {
  constructor(name) {
    const card = byId("result").content.cloneNode(true).firstElementChild;
    const find = (selector) => card.querySelector(selector);
    Object.assign(this, { card, name, tokens: [], layer: 0, chosen: -1 });
    Object.assign(this, { image: find("img"), canvas: find("canvas"), status: find(".status"), text: find(".text") });
    Object.assign(this, { chips: find(".tokens"), looked: find(".looked"), layers: find("select"), said: find(".said") });
    this.layers.addEventListener("change", () => { this.layer = this.layers.selectedIndex; this.draw(); });
    this.chips.addEventListener("keydown", (event) => this.walk(event));
    byId("results").prepend(card);
    while (byId("results").children.length > MOST_RESULTS) byId("results").lastElementChild.remove();
    this.say("sending " + name);
  }

  say(message) { this.status.textContent = message; }

  fail(message) {
    this.card.classList.add("failed");
    this.say(this.name + ": " + message);
    this.card.dataset.state = "failed";
  }

  take(line) {
    if (line.event === "seen") {
      this.image.src = line.picture;
      this.image.alt = "What the model sees of " + this.name;
      const before = line.before + (line.before === 1 ? " picture is" : " pictures are") + " read before this one";
      this.say(line.before ? before : line.loads ? "loading the model in " + this.title : "reading");
    } else if (line.event === "token") {
      this.add(line);
    } else if (line.event === "done") {
      this.text.textContent = line.text;
      this.say(this.name + ", " + this.title + ", " + line.seconds.toFixed(2) + " s" + (line.text ? "" : ": no text"));
      this.card.dataset.state = "done";
    } else if (line.event === "error") {
      this.fail(line.message);
    }
  }

  add(token) {
    const place = this.tokens.length;
    if (token.heat) token.bytes = Uint8Array.from(atob(token.heat.maps), (c) => c.charCodeAt(0));
    this.tokens.push(token);
    this.text.textContent = token.text;
    this.say("reading");
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = token.piece || "·";
    chip.title = "The model gave this token " + percent(token.chance);
    chip.addEventListener("click", () => this.choose(place, true));
    chip.addEventListener("mouseenter", () => this.choose(place));
    chip.addEventListener("focus", () => this.choose(place));
    this.chips.append(chip);
    if (!this.held) this.choose(place);
  }

  choose(place, held) {
    this.held = this.held || held || place < this.tokens.length - 1;
    this.chosen = place;
    [...this.chips.children].forEach((chip, i) => chip.setAttribute("aria-pressed", i === place));
    this.draw();
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && this.chips.children[this.chosen + step];
    if (next) { event.preventDefault(); next.focus(); }
  }

  /* The map of the chosen token, one pixel for each place; the browser makes it as large as the picture. */
  draw() {
    const token = this.tokens[this.chosen];
    this.looked.hidden = !token;
    if (!token) return;
    if (!token.heat) {
      this.layers.parentElement.hidden = true;
      this.said.textContent = "what the encoder gives cannot be laid over the picture";
      return;
    }
    const { peaks, elsewhere } = token.heat, [rows, columns] = token.grid, count = rows * columns;
    while (this.layers.length < peaks.length) {
      const number = this.layers.length;
      this.layers.add(new Option(number ? "layer " + number : "mean of all"));
    }
    Object.assign(this.canvas, { width: columns, height: rows });
    const pixels = new ImageData(columns, rows);
    token.bytes.subarray(this.layer * count, (this.layer + 1) * count).forEach((value, i) => {
      pixels.data.set([...RAMP[value], 255], 4 * i);
    });
    this.canvas.getContext("2d").putImageData(pixels, 0, 0);
    const away = elsewhere[this.layer];
    this.said.textContent =
      "0 to " + percent(peaks[this.layer]) + " of the attention in one place" +
      (away >= 0.0005 ? "; " + percent(away) + " went to no place (the class token)" : "");
  }
}

function query() {
  const chosen = new URLSearchParams({ backend: document.querySelector("[name=backend]:checked").value });
  for (const name of ["max_new_tokens", "temperature"]) if (byId(name).value) chosen.set(name, byId(name).value);
  if (byId("temperature").value) chosen.set("seed", Math.floor(Math.random() * 2 ** 31));
  return chosen;
}

/* Send a picture and show the lines that come back, each as it comes. */
async function read(file, name) {
  const result = new Result(name);
  result.title = document.querySelector("[name=backend]:checked").dataset.title;
  if (file.size > about.most_bytes) {
    result.fail("expected a file of at most " + about.most_bytes / 1e6 + " MB, got " + (file.size / 1e6).toFixed(1));
    return;
  }
  try {
    const response = await fetch("/read?" + query(), { method: "POST", body: file });
    if (!response.ok) {
      result.fail((await response.json()).error);
      return;
    }
    let rest = "";
    for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) result.take(JSON.parse(line));
    }
    if (!result.card.dataset.state) result.fail("the server ended before the text did");
  } catch (error) {
    result.fail("the server cannot be reached, or did not answer (" + error.message + ")");
  }
}

function readAll(files) {
  notice(files.length ? "" : "expected pictures, got none");
  for (const file of files) read(file, file.name || "the picture");
}

async function example(number) {
  const response = await fetch("/examples/" + number);
  read(await response.blob(), "example " + (number + 1));
}

function listen() {
  const drop = byId("drop");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); readAll([...event.dataTransfer.files]); });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) readAll(files);
  });
  byId("files").addEventListener("change", (event) => { readAll([...event.target.files]); event.target.value = ""; });
  byId("settings").addEventListener("submit", (event) => event.preventDefault());
}

async function start() {
  listen();
  about = await (await fetch("/about")).json();
  document.title = about.checkpoint + ": multimodal serve";
  byId("checkpoint").textContent = about.checkpoint;
  byId("formats").textContent = about.formats.join(", ") + ", at most " + about.most_bytes / 1e6 + " MB each";
  byId("max_new_tokens").max = about.most_tokens;
  about.backends.forEach(({ name, title }, i) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "backend", value: name, checked: i === 0 });
    input.dataset.title = title;
    label.append(input, " " + title);
    byId("backends").append(label);
  });
  for (let number = 0; number < about.examples; number++) {
    const button = document.createElement("button"), image = document.createElement("img");
    Object.assign(image, { src: "/examples/" + number, alt: "example " + (number + 1) });
    button.type = "button";
    button.append(image);
    button.addEventListener("click", () => example(number));
    document.querySelector("#examples .thumbs").append(button);
  }
  byId("examples").hidden = !about.examples;
}

start().catch((error) => notice("the server cannot be reached (" + error.message + ")"));
