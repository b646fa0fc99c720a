// What WebCrypto says of bytes that are no key: whoever verifies a signature says no to that.

/** What `check` answers, and false where WebCrypto finds that its key is none or does not fit. */
export async function orNoKey(check) {
  try {
    return await check();
  } catch (error) {
    if (error instanceof DOMException && (error.name === "DataError" || error.name === "OperationError")) {
      return false;
    }
    throw error;
  }
}
