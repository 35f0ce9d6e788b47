// The shape of JSON: members and types, without values. A value that is not known is null, so null fits every type.

// Members whose own members are names of the data, such as SKUs.
const MAPS = new Set(["by_reason", "items", "before", "after", "totals"]);

const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

const nameOf = (place) => place.split(".").at(-1);

// One value with the members of all.
function merged(values) {
  const objects = values.filter((value) => kind(value) === "object");
  if (!objects.length) return values.find((value) => value !== null) ?? null;
  const names = new Set(objects.flatMap(Object.keys));
  return Object.fromEntries([...names].map((name) => [name, merged(objects.filter((object) => name in object).map((object) => object[name]))]));
}

/** The lists of all values by their names, each with the elements of all lists of its name. @returns {Map<string, unknown[]>} */
export function listsOf(value, lists = new Map(), name = "") {
  if (kind(value) === "array") {
    lists.set(name, [...(lists.get(name) ?? []), ...value]);
    for (const element of value) listsOf(element, lists);
  } else if (kind(value) === "object") {
    for (const [member, part] of Object.entries(value)) if (!MAPS.has(member)) listsOf(part, lists, member);
  }
  return lists;
}

/**
 * The places where two values differ in shape. With `lists`, the elements of a list that is empty in `recorded` are compared
 * with those of its name there; without, they are not compared. @returns {string[]}
 */
export function differences(recorded, found, place = "", lists = null) {
  const [left, right] = [kind(recorded), kind(found)];
  if (left === "null" || right === "null") return [];
  if (left !== right) return [`${place}: ${left} became ${right}`];
  if (left === "array") {
    const like = recorded.length || !lists ? recorded : lists.get(nameOf(place)) ?? [];
    if (!found.length) return [];
    if (!like.length) return lists ? [`${place}[] is not recorded`] : [];
    return differences(merged(like), merged(found), `${place}[]`, lists);
  }
  if (left !== "object" || MAPS.has(nameOf(place))) return [];
  const names = new Set([...Object.keys(recorded), ...Object.keys(found)]);
  return [...names].flatMap((name) => {
    const at = `${place}.${name}`;
    if (!(name in found)) return [`${at} is missing`];
    if (!(name in recorded)) return [`${at} is new`];
    return differences(recorded[name], found[name], at, lists);
  });
}
