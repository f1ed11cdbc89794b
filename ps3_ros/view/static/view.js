"use strict";
// Draws frames and answers, and sends questions. What others wrote (questions, labels, names) only ever becomes text, never HTML.

const KEPT_FRAMES = 40; // for answers about an earlier one
const KEPT_ANSWERS = 100;
const AGAIN_MS = 1000; // after the connection was lost
const FOUND = "#6fdc8c", NEAR = "#ffb458", DIM = "rgba(0, 0, 0, 0.55)";
const SCALES = ["#3cb4e6", "#c878e6", "#f0dc5a"]; // outlines of looked-at areas, coarse to fine
const PLATE = "rgba(12, 14, 16, 0.85)";

const at = (id) => document.getElementById(id);
const canvas = at("canvas"), pen = canvas.getContext("2d");
const frames = new Map(); // stamp -> {header, picture}
const answers = []; // newest first: {data, heat, looked, crop, item}
let newest = null; // stamp of the frame that came last
let chosen = null; // the answer that a person picked, or null: the newest is shown
let held = false, live = true, socket = null, lastDrawn = null;

// ---- the connection

function connect() {
  const address = new URL("socket" + location.search, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => state("connected", false);
  socket.onclose = (event) => {
    state(event.reason || "not connected; trying again", true);
    setTimeout(connect, AGAIN_MS);
  };
  socket.onmessage = (event) => (typeof event.data === "string" ? hear(JSON.parse(event.data)) : see(event.data));
}

function state(text, bad) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", bad);
}

function send(values) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(values));
  else refuse("not connected: the question was not sent");
}

function hear(message) {
  if (message.type === "hello") {
    at("title").textContent = message.title;
    live = !message.steps;
    at("previous").hidden = at("next").hidden = live;
    forgetAnswers();
  } else if (message.type === "answer") answered(message);
  else if (message.type === "standing") showStanding(message.standing);
  else if (message.type === "refused") refuse(message.reason);
}

async function see(data) {
  const length = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const picture = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
  frames.set(header.stamp, { header, picture });
  newest = header.stamp;
  for (const stamp of frames.keys()) {
    if (frames.size <= KEPT_FRAMES) break;
    frames.get(stamp).picture.close();
    frames.delete(stamp);
  }
  draw();
}

async function answered(message) {
  const entry = { data: message.answer, stamp: message.stamp, crop: message.crop };
  entry.heat = message.relevance && tint(await pixels(message.relevance), (value) => [255, 60, 40, value * 0.75]);
  entry.looked = message.looked && (await pixels(message.looked));
  const worse = entry.data.id ? answers.findIndex((a) => a.data.id === entry.data.id && !a.data.final) : -1;
  if (worse >= 0) drop(worse); // this one is a better answer to the same question
  if (entry.data.standing) {
    const before = answers.findIndex((a) => a.data.standing && a.data.query === entry.data.query);
    if (before >= 0 && answers[before] !== chosen) drop(before); // one line a standing question
  }
  answers.unshift(entry);
  entry.item = line(entry);
  at("answers").prepend(entry.item);
  while (answers.length > KEPT_ANSWERS) drop(answers.length - 1);
  at("none").hidden = true;
  if (!entry.data.standing) {
    at("said").textContent = `${entry.data.query}: ${verdict(entry.data)}`;
    if (!held) chosen = null; // the answer to what was just asked is what one wants to see
  }
  draw();
}

function drop(index) {
  const [gone] = answers.splice(index, 1);
  gone.item.remove();
  if (chosen === gone) chosen = null;
}

function forgetAnswers() {
  while (answers.length) drop(0);
  at("none").hidden = false;
}

// ---- pictures in messages

async function pixels(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
  const sheet = new OffscreenCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true });
  sheet.drawImage(image, 0, 0);
  const data = sheet.getImageData(0, 0, image.width, image.height).data;
  const values = new Uint8Array(image.width * image.height);
  for (let n = 0; n < values.length; n++) values[n] = data[4 * n];
  return { width: image.width, height: image.height, values };
}

function tint({ width, height, values }, colour) {
  const sheet = new OffscreenCanvas(width, height), pen2 = sheet.getContext("2d"), image = pen2.createImageData(width, height);
  values.forEach((value, n) => image.data.set(colour(value), 4 * n));
  pen2.putImageData(image, 0, 0);
  return sheet;
}

// ---- drawing

const shownAnswer = () => chosen || answers.find((a) => !a.data.error) || null;

function draw() {
  const answer = shownAnswer();
  const own = answer && frames.get(answer.stamp);
  // A picked or held answer is shown over its own frame; else the newest frame is, with the answer about it where there is one.
  const shot = ((chosen || held) && own) || (held && lastDrawn && frames.get(lastDrawn)) || (live && own && fresh(answer) && own) || frames.get(newest);
  if (!shot) return;
  lastDrawn = shot.header.stamp;
  resize(shot);
  const about = answers.filter((a) => !a.data.error && a.stamp === shot.header.stamp);
  const layers = chosen && about.includes(chosen) ? [chosen] : onePerQuestion(about);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(shot.picture, 0, 0, canvas.width, canvas.height);
  if (on("looked")) drawLooked(layers);
  if (on("heat")) layers.forEach((a) => a.heat && pen.drawImage(a.heat, 0, 0, canvas.width, canvas.height));
  if (on("boxes")) layers.forEach((a) => drawBoxes(a.data, shot.header));
  describe(shot.header, layers, answer);
}

const on = (id) => at(id).getAttribute("aria-pressed") === "true";
const fresh = (answer) => BigInt(newest || 0) - BigInt(answer.stamp) < 3000000000n; // a live picture goes on after 3 s

function onePerQuestion(entries) {
  const seen = new Set();
  return entries.filter((a) => a.data.standing || entries.indexOf(a) === 0).filter((a) => !seen.has(a.data.query) && seen.add(a.data.query));
}

function resize({ picture }) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
}

function drawLooked(layers) {
  const masks = layers.map((a) => a.looked).filter((m) => m);
  if (!masks.length) return;
  const { width, height } = masks[0], values = new Uint8Array(width * height);
  masks.filter((m) => m.width === width && m.height === height).forEach((m) => m.values.forEach((v, n) => (values[n] |= v)));
  const sx = canvas.width / width, sy = canvas.height / height;
  pen.fillStyle = DIM;
  for (let y = 0; y < height; y++) { // a run at a time: seams between cells would show
    const top = Math.round(y * sy), bottom = Math.round((y + 1) * sy);
    for (let x = 0; x < width; x++) {
      const from = x;
      while (x < width && !values[y * width + x]) x++;
      if (x > from) pen.fillRect(Math.round(from * sx), top, Math.round(x * sx) - Math.round(from * sx), bottom - top);
    }
  }
  const bits = values.reduce((all, v) => all | v, 0), count = 32 - Math.clz32(bits);
  for (let s = 0; s < count; s++) {
    const set = (x, y) => x >= 0 && y >= 0 && x < width && y < height && ((values[y * width + x] >> s) & 1) === 1;
    pen.strokeStyle = SCALES[Math.max(0, SCALES.length - count + s) % SCALES.length];
    pen.lineWidth = Math.max(1, canvas.width / 1280);
    pen.beginPath();
    for (let y = 0; y <= height; y++)
      for (let x = 0; x <= width; x++) {
        if (set(x, y) !== set(x, y - 1)) pen.moveTo(x * sx, y * sy), pen.lineTo((x + 1) * sx, y * sy);
        if (set(x, y) !== set(x - 1, y)) pen.moveTo(x * sx, y * sy), pen.lineTo(x * sx, (y + 1) * sy);
      }
    pen.stroke();
  }
}

function drawBoxes(answer, header) {
  const zoom = canvas.width / header.width, text = Math.max(12, Math.round(canvas.width / 75));
  pen.font = `600 ${text}px system-ui, "DejaVu Sans", sans-serif`;
  answer.regions.map((region, rank) => [region, rank]).reverse().forEach(([region, rank]) => {
    const colour = answer.found && rank === 0 ? FOUND : NEAR;
    const [x1, y1, x2, y2] = region.box.map((v) => v * zoom);
    pen.lineWidth = (rank === 0 ? 3 : 1.5) * Math.max(1, canvas.width / 1280);
    pen.strokeStyle = colour;
    pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    if (rank > 0) return;
    const name = region.track === undefined || region.track === null ? region.label : `${region.label} #${region.track}`;
    const words = `${name.length > 40 ? name.slice(0, 39) + "…" : name} ${region.score.toFixed(2)}`;
    const wide = pen.measureText(words).width + 8, high = text + 8;
    const left = Math.max(0, Math.min(x1, canvas.width - wide)), top = y1 - high - 2 >= 0 ? y1 - high - 2 : Math.min(y2 + 2, canvas.height - high);
    pen.fillStyle = PLATE;
    pen.fillRect(left, top, wide, high);
    pen.fillStyle = colour;
    pen.textBaseline = "middle";
    pen.fillText(words, left + 4, top + high / 2);
  });
}

// ---- words

function verdict(answer) {
  if (answer.error) return answer.error;
  const best = answer.regions[0], score = best ? ` (${best.score.toFixed(2)})` : "";
  const soFar = answer.final ? "" : " so far";
  if (answer.found) return `✓ found ${answer.choices.length ? answer.label : ""}${score}${soFar}`.replace("  ", " ");
  return `– not found in what was looked at${best ? `; nearest${score}` : ""}${soFar}`;
}

function cost(answer) {
  const parts = [`looked at ${(answer.looked_fraction * 100).toFixed(1)}%`, `${Math.round(answer.stage_ms.total)} ms`];
  if (answer.age_ms !== null) parts.push(`age ${(answer.age_ms / 1000).toFixed(1)} s`);
  if (answer.standing) parts.push("every frame");
  if (answer.note) parts.push(answer.note);
  return parts.join(", ");
}

function describe(header, layers, answer) {
  const words = layers.map((a) => `${a.data.query}: ${verdict(a.data)}`).join("; ");
  const name = header.name || header.frame_id || "frame";
  canvas.setAttribute("aria-label", `${name}, ${header.width} by ${header.height} pixels. ${words}`);
  const late = !layers.length && answer ? "; the last answer is about an earlier frame: pick it to see it there" : "";
  at("about").textContent = `${name}, ${header.width} x ${header.height}${late}`;
  const sureness = (a) => (a.data.found ? 1 : 0) + a.data.regions[0].score;
  const shown = layers.filter((a) => a.crop).sort((a, b) => sureness(b) - sureness(a))[0];
  at("closest").hidden = !shown;
  if (shown) {
    at("crop").src = "data:image/jpeg;base64," + shown.crop;
    at("crop").alt = `The best find for ${shown.data.query}, enlarged`;
    at("caption").textContent = `${shown.data.regions[0].label}: the best find, at the camera's own resolution`;
  }
  for (const entry of answers) entry.item.firstChild.setAttribute("aria-current", String(layers.includes(entry)));
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function line(entry) {
  const { data } = entry, item = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  button.className = data.error ? "error" : data.found ? "found" : "near";
  button.append(element("span", "query", data.query || "frame"), element("span", "verdict", verdict(data)));
  if (!data.error) button.append(element("span", "cost", cost(data)));
  button.addEventListener("click", () => {
    chosen = chosen === entry ? null : entry;
    draw();
  });
  item.append(button);
  return item;
}

function showStanding(standing) {
  at("standing").hidden = !standing.length;
  at("standing-list").replaceChildren(
    ...standing.map(([key, text]) => {
      const item = element("li", "", ""), stop = element("button", "", "Stop");
      stop.type = "button";
      stop.setAttribute("aria-label", `Stop asking: ${text}`);
      stop.addEventListener("click", () => send({ type: "forget", key }));
      item.append(element("span", "query", text), stop);
      return item;
    }),
  );
}

function refuse(reason) {
  at("refused").textContent = reason;
}

// ---- what a person does

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  refuse("");
  const query = at("query").value.trim();
  if (!query) return refuse("say what to look for, such as: stop sign");
  send({ type: "ask", query, keep: at("keep").checked });
  at("query").select();
});

function toggle(id) {
  at(id).setAttribute("aria-pressed", String(!on(id)));
  if (id === "hold") held = on(id);
  draw();
}

for (const id of ["boxes", "looked", "heat", "hold"]) at(id).addEventListener("click", () => toggle(id));

function step(by) {
  chosen = null;
  send({ type: "step", by });
}

at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = document.activeElement === at("query");
  if (typing) {
    if (event.key === "Escape") at("query").blur();
    return;
  }
  const keys = { b: "boxes", l: "looked", h: "heat" };
  if (event.key === "/") at("query").focus(), event.preventDefault();
  else if (keys[event.key]) toggle(keys[event.key]);
  else if (event.key === " " && document.activeElement.tagName !== "BUTTON" && document.activeElement.tagName !== "INPUT") toggle("hold"), event.preventDefault();
  else if (event.key === "ArrowLeft" && !at("previous").hidden) step(-1);
  else if (event.key === "ArrowRight" && !at("next").hidden) step(1);
});

connect();
