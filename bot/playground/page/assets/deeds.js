/** What a person does, sent to the server. */

import { toast } from "./announcer.js";

/** The server's answer. @throws {Error} with a sentence for the person. */
export async function deed(verb, details = {}) {
  const answer = await request(`/do/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(details),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? `The server answered ${answer.status}.`);
  return said;
}

/** The server's answer; null after showing why there is none. */
export async function attempt(verb, details = {}) {
  try {
    return await deed(verb, details);
  } catch (error) {
    toast(error.message);
    return null;
  }
}

/** Uploads a file; its id. @throws {Error} with a sentence for the person. */
export async function upload(user, file) {
  const answer = await request(`/upload?${new URLSearchParams({ user, name: file.name })}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? `The server answered ${answer.status}.`);
  return said.id;
}

/** The full detail of a row of the wire log: [{title, text}]. */
export async function wireParts(id) {
  const answer = await request(`/wire/${id}`);
  if (!answer.ok) throw new Error("The details of this row are no longer kept.");
  return (await answer.json()).parts;
}

async function request(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Error("The playground does not answer. Is it still running?");
  }
}
