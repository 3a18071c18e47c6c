package org.edgekit.ocr

import java.util.Locale
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotEquals
import org.json.JSONObject

class OcrResultTest {
    private val line = OcrLine(intArrayOf(1, 2, 30, 2, 30, 9, 1, 9), 0.875, "a \"quoted\" \\ \n \u6587 \uD840\uDC00", 0.5)
    private val result = OcrResult(listOf(line, line.copy(text = "second")), mapOf("det" to 0.25, "total" to 1.5), 40, 20)

    @Test
    fun `the JSON form reads back`() {
        val json = JSONObject(result.toJson())
        assertEquals(40, json.getInt("width"))
        assertEquals("[[1,2],[30,2],[30,9],[1,9]]", json.getJSONArray("dt_polys").getJSONArray(0).toString())
        assertEquals(0.875, json.getJSONArray("dt_scores").getDouble(0))
        assertEquals(line.text, json.getJSONArray("rec_texts").getString(0))
        assertEquals(0.5, json.getJSONArray("rec_scores").getDouble(1))
        assertEquals(1.5, json.getJSONObject("timings").getDouble("total"))
    }

    @Test
    fun `the JSON form does not depend on the language of the device`() {
        val before = Locale.getDefault()
        try {
            Locale.setDefault(Locale.GERMANY)
            assertEquals(0.25, JSONObject(result.toJson()).getJSONObject("timings").getDouble("det"))
        } finally {
            Locale.setDefault(before)
        }
    }

    @Test
    fun `an empty result is valid JSON and empty text`() {
        val empty = OcrResult(emptyList(), emptyMap(), 1, 1)
        assertEquals(0, JSONObject(empty.toJson()).getJSONArray("dt_polys").length())
        assertEquals("", empty.toText())
    }

    @Test
    fun `the text form has a line for each line`() =
        assertEquals(listOf("x", "second"), result.copy(lines = listOf(line.copy(text = "x"), result.lines[1])).toText().lines())

    @Test
    fun `lines are equal by their values`() {
        assertEquals(line, line.copy(polygon = line.polygon.copyOf()))
        assertNotEquals(line, line.copy(polygon = IntArray(8)))
    }
}
