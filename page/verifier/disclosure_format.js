// Private fields that a file shows of a contract, read into what step 15 looks at.
//
// A contract has 32 fields in a fixed order, one salted leaf each. A disclosure names some with value,
// salt and path; nothing of it is believed here.

import { fromHex, toUtf8 } from "./bytes.js";
import { quote } from "./quoting.js";
import { refuse } from "./refusal.js";

export const FORMAT = "evidence-ledger/disclosure/v1";
export const FIELDS = [
  "account_number", "address", "beneficiary_id_number", "beneficiary_name", "beneficiary_phone",
  "birth_date", "card_number", "consumer_id", "device_id", "email", "guardian_id_number",
  "guardian_name", "guardian_phone", "guardian_relation", "health", "holder_id_number",
  "holder_name", "holder_phone", "id_number", "id_type", "name", "note_1", "note_2", "note_3",
  "note_4", "payer_account", "payer_id_number", "payer_name", "phone", "vehicle_plate", "wallet_id",
  "wallet_provider",
];
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const VALUE_BYTES_MAX = 1024;
const PATH_HASHES = 5;
const CONTRACT = /^[a-z0-9][a-z0-9._-]{0,79}$/;
const MEMBERS = ["commitment", "contract", "fields", "format"];
const FIELD_MEMBERS = ["name", "path", "salt", "value"];

/** The disclosure that a JSON object describes; throws `Rejected` for another shape. */
export function readDisclosure(value, where) {
  takeExactly(value, where, MEMBERS);
  if (value.get("format") !== FORMAT) {
    refuse("bad_field", `${where}: format is not ${quote(FORMAT)}`);
  }
  const contract = value.get("contract");
  if (typeof contract !== "string" || !CONTRACT.test(contract)) {
    const source = CONTRACT.source.slice(1, -1);
    refuse("bad_field", `${where}: contract is not an id that matches ${source}`);
  }
  const listed = value.get("fields");
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > FIELDS.length) {
    refuse("bad_field", `${where}: fields is not a list of 1 to ${FIELDS.length} fields`);
  }
  return {
    contract,
    commitment: takeHex(value.get("commitment"), `${where}: commitment`, HASH_BYTES),
    shown: listed.map((item, at) => readField(item, `${where}: fields[${at}]`)),
  };
}

function readField(item, where) {
  takeExactly(item, where, FIELD_MEMBERS);
  const [name, value, path] = ["name", "value", "path"].map((member) => item.get(member));
  if (typeof name !== "string") refuse("bad_field", `${where}: the name is no text`);
  if (!FIELDS.includes(name)) {
    const shown = quote([...name].slice(0, 40).join(""));
    refuse("bad_field", `${where}: there is no field ${shown}; fields are ${FIELDS.join(", ")}`);
  }
  if (value !== null) checkValue(value, `${where}: ${name}`);
  if (!Array.isArray(path) || path.length !== PATH_HASHES) {
    refuse("bad_field", `${where}: path is not a list of ${PATH_HASHES} hashes`);
  }
  return {
    name,
    salt: takeHex(item.get("salt"), `${where}: salt`, SALT_BYTES),
    value,
    path: path.map((hash) => takeHex(hash, `${where}: path`, HASH_BYTES)),
  };
}

/** Its normal form was checked with the whole file's. */
function checkValue(value, name) {
  if (typeof value !== "string") refuse("bad_field", `${name}: the value is no text`);
  const { length } = toUtf8(value);
  if (length < 1 || length > VALUE_BYTES_MAX) {
    refuse(
      "bad_field",
      `${name}: the value has ${length} bytes in UTF-8; 1 to ${VALUE_BYTES_MAX} are allowed, and an ` +
        "empty field is left out",
    );
  }
}

function takeExactly(value, where, expected) {
  const fits =
    value instanceof Map && value.size === expected.length && expected.every((one) => value.has(one));
  if (!fits) refuse("bad_field", `${where} is not an object of exactly ${expected.join(", ")}`);
}

function takeHex(value, where, length) {
  if (typeof value !== "string" || !/^[0-9a-f]*$/.test(value) || value.length !== 2 * length) {
    refuse("bad_field", `${where} is not ${2 * length} lower-case hex digits`);
  }
  return fromHex(value);
}
