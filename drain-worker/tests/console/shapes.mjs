// The shape of JSON: members and types, without values. A value that is not known is null, so null fits every type.

// Members whose own members are names of the data, such as SKUs.
const MAPS = new Set(["by_reason", "items", "before", "after", "totals"]);

const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

// One value with the members of all.
function merged(values) {
  const objects = values.filter((value) => kind(value) === "object");
  if (!objects.length) return values.find((value) => value !== null) ?? null;
  const names = new Set(objects.flatMap(Object.keys));
  return Object.fromEntries([...names].map((name) => [name, merged(objects.filter((object) => name in object).map((object) => object[name]))]));
}

/** The places where two values differ in shape. @returns {string[]} */
export function differences(recorded, found, place = "") {
  const [left, right] = [kind(recorded), kind(found)];
  if (left === "null" || right === "null") return [];
  if (left !== right) return [`${place}: ${left} became ${right}`];
  if (left === "array") {
    if (!recorded.length || !found.length) return [];
    return differences(merged(recorded), merged(found), `${place}[]`);
  }
  if (left !== "object" || MAPS.has(place.split(".").at(-1))) return [];
  const names = new Set([...Object.keys(recorded), ...Object.keys(found)]);
  return [...names].flatMap((name) => {
    const at = `${place}.${name}`;
    if (!(name in found)) return [`${at} is missing`];
    if (!(name in recorded)) return [`${at} is new`];
    return differences(recorded[name], found[name], at);
  });
}
