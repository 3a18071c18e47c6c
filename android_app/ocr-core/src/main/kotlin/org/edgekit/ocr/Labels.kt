package org.edgekit.ocr

/**
 * Returns the characters of the classes after the blank: one a line of the dictionary [text], then a space if [rules]
 * say so.
 */
fun parseLabels(text: String, rules: CtcRules): List<String> {
    val lines = ArrayList(text.split("\n"))
    if (lines.last().isEmpty()) lines.removeAt(lines.size - 1)
    val characters = ArrayList<String>(lines.size + 1)
    for (line in lines) characters.add(line.trimEnd('\r'))
    if (rules.appendSpace) characters.add(" ")
    return characters
}
