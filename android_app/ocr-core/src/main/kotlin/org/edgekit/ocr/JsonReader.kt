package org.edgekit.ocr

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/**
 * Reads typed values of one JSON object; [path] names it in errors, which [fail] throws.
 *
 * Only methods that both Android's org.json and the host's have are used, and none that converts silently.
 */
internal class JsonReader(
    private val json: JSONObject,
    private val path: String,
    private val fail: (String) -> OcrException,
) {
    fun child(key: String): JsonReader {
        val value = value(key) as? JSONObject ?: throw wrong(key, "an object")
        return JsonReader(value, full(key), fail)
    }

    fun childOrNull(key: String): JsonReader? = if (json.isNull(key)) null else child(key)

    fun string(key: String): String = value(key) as? String ?: throw wrong(key, "a text")

    fun boolean(key: String): Boolean = value(key) as? Boolean ?: throw wrong(key, "true or false")

    fun number(key: String): Double {
        val number = (value(key) as? Number)?.toDouble() ?: throw wrong(key, "a number")
        if (number.isNaN() || number.isInfinite()) throw wrong(key, "a finite number")
        return number
    }

    fun positive(key: String): Double {
        val number = number(key)
        if (number <= 0) throw wrong(key, "above zero")
        return number
    }

    fun int(key: String, least: Int = Int.MIN_VALUE, most: Int = Int.MAX_VALUE): Int {
        val number = number(key)
        if (number != Math.rint(number) || number < least || number > most) {
            throw wrong(key, if (least == Int.MIN_VALUE) "an integer" else "an integer from $least to $most")
        }
        return number.toInt()
    }

    fun intOrNull(key: String, least: Int = Int.MIN_VALUE, most: Int = Int.MAX_VALUE): Int? =
        if (json.isNull(key)) null else int(key, least, most)

    fun numbers(key: String, size: Int): DoubleArray {
        val array = value(key) as? JSONArray
        if (array == null || array.length() != size) throw wrong(key, "$size numbers")
        val numbers = DoubleArray(size) { i ->
            (array.opt(i) as? Number)?.toDouble() ?: throw wrong(key, "$size numbers")
        }
        if (numbers.any { it.isNaN() || it.isInfinite() }) throw wrong(key, "$size finite numbers")
        return numbers
    }

    /** Returns [size] numbers above zero: what divides must not be zero. */
    fun positives(key: String, size: Int): DoubleArray {
        val numbers = numbers(key, size)
        if (numbers.any { it <= 0 }) throw wrong(key, "above zero")
        return numbers
    }

    fun ints(key: String): List<Int> {
        val array = value(key) as? JSONArray ?: throw wrong(key, "a list")
        return List(array.length()) { i -> (array.opt(i) as? Number)?.toInt() ?: throw wrong(key, "integers") }
    }

    /** Returns the value of [choices] that the text at [key] names. */
    fun <T> choice(key: String, choices: Map<String, T>): T =
        choices[string(key)] ?: throw wrong(key, "one of ${choices.keys.joinToString(", ")}")

    fun keys(): List<String> {
        val keys = ArrayList<String>()
        for (key in json.keys()) keys.add(key)
        return keys.sorted()
    }

    private fun value(key: String): Any {
        if (json.isNull(key)) throw fail("${full(key)} is missing")
        return json.get(key)
    }

    private fun full(key: String) = if (path.isEmpty()) key else "$path.$key"

    private fun wrong(key: String, wanted: String) = fail("${full(key)} must be $wanted, not ${json.opt(key)}")

    companion object {
        /** Parses [text]; throws what [fail] makes when it is no JSON object. */
        fun parse(text: String, fail: (String) -> OcrException): JsonReader {
            val json = try {
                JSONObject(text)
            } catch (error: JSONException) {
                throw fail("not a JSON object: ${error.message}")
            }
            return JsonReader(json, "", fail)
        }
    }
}
