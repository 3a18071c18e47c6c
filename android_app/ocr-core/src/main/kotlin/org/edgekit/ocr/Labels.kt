package org.edgekit.ocr

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction
import java.security.MessageDigest

private const val HINT = "build the bundle again with the dictionary that the model was trained with, saved as UTF-8"
private const val MARK = '\uFEFF'
private const val MOST_NAMED = 5

/**
 * Dictionaries by SHA-256 whose empty lines are classes of the models that were trained with them: PaddleOCR's
 * bn_dict.txt and bm_dict_add.txt.
 */
private val KNOWN_EMPTY = setOf(
    "d509abad601cf33158113d796ce76585c4f50a51b3568002b4d4fcffbc5489d9",
    "705d95fffee2161c07b5785c7036a7c2201f0aa82c8895648d7dd4bd3de37e7c",
)

/**
 * Returns the characters of the classes after the blank: one a line of the dictionary [text], then a space if [rules]
 * say so.
 *
 * The rules are those of `model_opt/dictionary.py`: lines end at a line feed alone, carriage returns around them and a
 * byte-order mark in front are dropped, all else is the character. Throws [ModelException] for a dictionary without
 * characters, with a carriage return inside a line, or with an empty line, which would be a class without a character.
 */
fun parseLabels(text: String, rules: CtcRules): List<String> = labels(text, rules, text.toByteArray(Charsets.UTF_8))

/** Returns the characters of the dictionary [data]; throws [ModelException] also when it is not UTF-8. */
fun parseLabels(data: ByteArray, rules: CtcRules): List<String> = labels(decoded(data), rules, data)

private fun labels(text: String, rules: CtcRules, data: ByteArray): List<String> {
    val lines = ArrayList(text.trimStart(MARK).split("\n"))
    if (lines.last().isEmpty()) lines.removeAt(lines.size - 1)
    if (lines.isEmpty()) throw ModelException("the dictionary is empty", HINT)
    val characters = ArrayList<String>(lines.size + 1)
    for (line in lines) characters.add(line.trim('\r'))
    check(characters, data)
    if (rules.appendSpace) characters.add(" ")
    return characters
}

private fun check(characters: List<String>, data: ByteArray) {
    val empty = ArrayList<Int>()
    for ((at, character) in characters.withIndex()) {
        if (character.contains('\r')) {
            throw ModelException("line ${at + 1} of the dictionary holds a carriage return", HINT)
        }
        if (character.isEmpty()) empty.add(at + 1)
    }
    if (empty.isEmpty() || sha256(data) in KNOWN_EMPTY) return
    val named = empty.take(MOST_NAMED).joinToString(", ")
    throw ModelException(
        "the dictionary has ${empty.size} empty lines (line $named): most often a blank that was lost in an editor",
        HINT,
    )
}

private fun decoded(data: ByteArray): String {
    val utf16 = data.size >= 2 && (data[0].toInt() and 0xFF) + (data[1].toInt() and 0xFF) == 0x1FD
    if (utf16 || data.contains(0)) throw ModelException("the dictionary is not UTF-8 but looks like UTF-16", HINT)
    val decoder = Charsets.UTF_8.newDecoder()
        .onMalformedInput(CodingErrorAction.REPORT)
        .onUnmappableCharacter(CodingErrorAction.REPORT)
    return try {
        decoder.decode(ByteBuffer.wrap(data)).toString()
    } catch (error: CharacterCodingException) {
        throw ModelException("the dictionary is not UTF-8", HINT, error)
    }
}

private fun sha256(data: ByteArray): String =
    hex(MessageDigest.getInstance("SHA-256").digest(data))

/** Returns [bytes] as lower-case hexadecimal digits. */
internal fun hex(bytes: ByteArray): String = buildString(2 * bytes.size) {
    for (byte in bytes) {
        append(Character.forDigit(byte.toInt() shr 4 and 15, 16))
        append(Character.forDigit(byte.toInt() and 15, 16))
    }
}
