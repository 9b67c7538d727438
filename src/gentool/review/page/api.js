// Requests to the server; addresses are relative to the page, so that the token is in them.
export class ApiError extends Error {
  constructor(message, problems) {
    super(message);
    this.problems = problems || [];
  }
}

async function ask(path, options) {
  let response, value;
  try {
    response = await fetch(path, { cache: "no-store", redirect: "error", ...options });
    value = await response.json();
  } catch {
    throw new ApiError("The server does not answer. Was it stopped? What was decided is kept.");
  }
  if (!response.ok) throw new ApiError(value.error || `Error ${response.status}`, value.problems);
  return value;
}

const query = (parameters) => new URLSearchParams(Object.entries(parameters)).toString();

export const getRun = () => ask("api/run");
export const getWindow = (filters, parameters) => ask(`api/items?${query({ ...filters, ...parameters })}`);
export const getStep = (filters, item, by) => ask(`api/step?${query({ ...filters, item, by })}`);
export const getItem = (item) => ask(`api/items/${encodeURIComponent(item)}`);
export const getExchange = (item, call) => ask(`api/items/${encodeURIComponent(item)}/calls/${encodeURIComponent(call)}`);
export const decide = (order) => ask("api/decisions", {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order),
});
