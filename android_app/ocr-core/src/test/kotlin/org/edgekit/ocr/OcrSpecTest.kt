package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import org.json.JSONObject

class OcrSpecTest {
    @Test
    fun `the exported specification is read with its default profile`() {
        val profile = OcrSpec.parse(specJson).profile()
        assertEquals("pp-ocrv4", profile.name)
        assertEquals(960, profile.detection.limitSideLen)
        assertEquals(listOf(0.485, 0.456, 0.406), profile.detection.mean)
        assertEquals(3, profile.boxes.minSideExclusive)
        assertEquals(0.5, profile.dropScore)
    }

    @Test
    fun `a second profile has its own rules`() {
        val profile = OcrSpec.parse(specJson).profile("paddlex-v4")
        assertNull(profile.boxes.minSideExclusive)
        assertEquals(CropShape.MIN_AREA_RECT, profile.crop.shape)
        assertEquals(2.0, profile.db.unclipRatio)
    }

    @Test
    fun `a specification of another version is refused`() =
        assertTells<SpecException>("version 1, this app reads 2") {
            OcrSpec.parse(changedSpec { it.put("spec_version", 1) })
        }

    @Test
    fun `an unknown profile is answered with the known ones`() {
        val error = runCatching { OcrSpec.parse(specJson).profile("v9") }.exceptionOrNull() as SpecException
        assertEquals("unknown specification profile 'v9'", error.message)
        assertEquals("use one of: conformance, paddlex-v4, pp-ocrv4", error.hint)
    }

    @Test
    fun `text that is no JSON object is refused`() {
        for (text in listOf("", "[1, 2]", "spec_version: 2", specJson.dropLast(900))) {
            assertTells<SpecException>("the specification is damaged") { OcrSpec.parse(text) }
        }
    }

    @Test
    fun `a missing key is named`() = assertTells<SpecException>("profiles.pp-ocrv4.db.unclip_ratio is missing") {
        OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "db").remove("unclip_ratio") })
    }

    @Test
    fun `a value of another kind is named and not converted`() {
        val wrong = mapOf(
            "limit_side_len" to "960",
            "side_multiple" to 0,
            "mean" to listOf(1, 2),
            "std" to listOf(0.2, 0.0, 0.2),
            "interpolation" to "area",
            "side_rounding" to "half_up",
            "divisor" to 0,
            "pad_value" to 1.5,
        )
        for ((key, value) in wrong) {
            assertTells<SpecException>("profiles.pp-ocrv4.detection.$key must be") {
                OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "detection").put(key, value as Any) })
            }
        }
    }

    @Test
    fun `a row sort without a known name is refused`() {
        for (value in listOf<Any>("bubble", -1)) {
            assertTells<SpecException>("profiles.pp-ocrv4.boxes.row_sort must be") {
                OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "boxes").put("row_sort", value) })
            }
        }
    }

    @Test
    fun `cubic resizing is refused, since processors differ on it`() =
        assertTells<SpecException>("recognition.interpolation must be one of linear") {
            OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "recognition").put("interpolation", "cubic") })
        }

    @Test
    fun `a default profile that is not there is refused`() = assertTells<SpecException>("unknown specification profile") {
        OcrSpec.parse(changedSpec { it.put("default_profile", "none") })
    }

    @Test
    fun `every key of the export is needed`() {
        val profile = JSONObject(specJson).getJSONObject("profiles").getJSONObject("pp-ocrv4")
        for (section in profile.keys()) {
            val keys = (profile.get(section) as? JSONObject)?.keys()?.asSequence()?.toList() ?: continue
            // The one key that may be null may be absent too.
            for (key in keys - "min_side_exclusive") {
                assertTells<SpecException>("profiles.pp-ocrv4.$section.$key is missing") {
                    OcrSpec.parse(changedSpec { it.section("pp-ocrv4", section).remove(key) })
                }
            }
        }
    }
}
