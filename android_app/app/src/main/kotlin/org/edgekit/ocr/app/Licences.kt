package org.edgekit.ocr.app

import java.io.IOException
import java.io.InputStream
import org.edgekit.ocr.BundleException
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

private const val ROOT = "licences"
private const val HINT = "install the app again, or build it anew"

/** One part of the app: what it is, its licence as SPDX writes it, and the names of its [texts] among the assets. */
class Licence(
    val title: String,
    val licence: String,
    val copyright: String,
    val address: String,
    val texts: List<String>,
)

/** What the app holds and under which licences, from its assets, which [asset] opens. */
class Licences(private val asset: (String) -> InputStream) {
    /** Every part of the app; throws [BundleException] when the list is missing or damaged. */
    val all: List<Licence> by lazy { parse(read("components.json")) }

    /** Returns what a screen shows of [licence]: its copyright, its address and its texts, one below the other. */
    fun text(licence: Licence): String {
        val head = listOf(licence.licence, licence.copyright, licence.address).filter { it.isNotEmpty() }
        return (listOf(head.joinToString("\n")) + licence.texts.map(::read)).joinToString("\n\n")
    }

    private fun read(name: String): String = try {
        asset("$ROOT/$name").use { String(it.readBytes(), Charsets.UTF_8) }
    } catch (error: IOException) {
        throw BundleException("the app lacks $ROOT/$name", HINT, error)
    }

    private fun parse(json: String): List<Licence> = try {
        val rows = JSONObject(json).getJSONArray("components")
        List(rows.length()) { licence(rows.getJSONObject(it)) }
    } catch (error: JSONException) {
        throw BundleException("$ROOT/components.json is damaged: ${error.message}", HINT, error)
    }

    private fun licence(row: JSONObject) = Licence(
        row.getString("title"),
        row.getString("licence"),
        row.getString("copyright"),
        row.getString("address"),
        strings(row.getJSONArray("texts")),
    )

    private fun strings(array: JSONArray): List<String> = List(array.length()) { array.getString(it) }
}
