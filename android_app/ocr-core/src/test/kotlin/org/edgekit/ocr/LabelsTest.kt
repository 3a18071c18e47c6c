package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.json.JSONArray
import org.json.JSONObject

/** The cases of `labels_cases.json`, which the tests of `model_opt/dictionary.py` run too. */
class LabelsTest {
    private val plain = CtcRules(blank = 0, appendSpace = false, emptyScore = 0.0)
    private val cases = JSONArray(String(LabelsTest::class.java.getResource("/labels_cases.json")!!.readBytes()))

    @Test
    fun `dictionaries are read and refused as in Python`() {
        assertTrue(cases.length() > 20)
        for (i in 0 until cases.length()) {
            val case = cases.getJSONObject(i)
            val name = case.getString("name")
            val data = case.getString("hex").chunked(2).map { it.toInt(16).toByte() }.toByteArray()
            if (case.has("fails")) {
                assertReports<ModelException>(case.getString("fails")) { parseLabels(data, plain) }
            } else {
                assertEquals(strings(case), parseLabels(data, plain), name)
                assertEquals(strings(case), parseLabels(String(data, Charsets.UTF_8), plain), name)
            }
        }
    }

    @Test
    fun `a space follows where the specification says so, and only there`() {
        val data = "a\nb\n".toByteArray()
        assertEquals(listOf("a", "b"), parseLabels(data, plain))
        assertEquals(listOf("a", "b", " "), parseLabels(data, plain.copy(appendSpace = true)))
    }

    @Test
    fun `a bundle's specification decides on the space`() {
        for (space in listOf(true, false)) {
            val json = changedSpec { it.section("pp-ocrv4", "ctc").put("append_space", space) }
            val rules = OcrSpec.parse(json).profile("pp-ocrv4").ctc
            assertEquals(if (space) 3 else 2, parseLabels("a\nb\n".toByteArray(), rules).size)
        }
    }

    private fun strings(case: JSONObject): List<String> {
        val array = case.getJSONArray("characters")
        return List(array.length()) { array.getString(it) }
    }
}
