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
    fun `each profile says what becomes of transparency, and a specification of before drops it`() {
        val spec = OcrSpec.parse(specJson)
        assertEquals(listOf(Alpha.ON_WHITE, Alpha.DROP), listOf("pp-ocrv4", "paddlex-3").map { spec.profile(it).alpha })
        val before = changedSpec { json ->
            val profiles = json.getJSONObject("profiles")
            for (name in profiles.keys()) profiles.getJSONObject(name).remove("image")
        }
        assertEquals(Alpha.DROP, OcrSpec.parse(before).profile().alpha)
    }

    @Test
    fun `a pixel on white has the level that PaddleOCR gives it`() {
        assertEquals(listOf(255, 0, 255, 55, 254), listOf(0 to 0, 0 to 255, 255 to 9, 55 to 255, 200 to 1).map {
            Transparency.onWhite(it.first, it.second)
        })
    }

    @Test
    fun `a second profile has its own rules`() {
        val profile = OcrSpec.parse(specJson).profile("paddlex-v4")
        assertNull(profile.boxes.minSideExclusive)
        assertEquals(CropShape.MIN_AREA_RECT, profile.crop.shape)
        assertEquals(2.0, profile.db.unclipRatio)
    }

    @Test
    fun `the profile of PaddleX 3 has its own arithmetic`() {
        val profile = OcrSpec.parse(specJson).profile("paddlex-3")
        assertEquals(4000, profile.detection.maxSideLimit)
        assertEquals(Normalise.MULTIPLY_ADD, profile.detection.normalise)
        assertEquals(UnclipDistance.CONTOUR, profile.db.unclipDistance)
        assertEquals(BoxScaling.FLOAT64_RATIO, profile.db.boxScaling)
        assertEquals(CollapsedLine.FIRST_PIXEL, profile.crop.collapsedLine)
    }

    @Test
    fun `a device bounds the longer side, whichever side a profile limits`() {
        val spec = OcrSpec.parse(specJson)
        val longer = spec.profile("pp-ocrv4").detection
        val shorter = spec.profile("paddlex-3").detection
        assertEquals(listOf(960, 4000), listOf(longer.longestSide, shorter.longestSide))
        assertNull(shorter.copy(maxSideLimit = null).longestSide)
        assertEquals(Pair(640, 480), detectorSize(1600, 1200, longer.limitedTo(640)))
        assertEquals(Pair(640, 480), detectorSize(1600, 1200, shorter.limitedTo(640)))
        assertEquals(Pair(1600, 1216), detectorSize(1600, 1200, shorter.limitedTo(9000)))
        assertEquals(1280, longer.limitedTo(1280).longestSide)
        assertEquals(4000, shorter.limitedTo(9000).longestSide)
    }

    @Test
    fun `a specification of another version is refused`() =
        assertReports<SpecException>("version 1, this app reads 3") {
            OcrSpec.parse(changedSpec { it.put("spec_version", 1) })
        }

    @Test
    fun `an unknown profile is answered with the known ones`() {
        val error = runCatching { OcrSpec.parse(specJson).profile("v9") }.exceptionOrNull() as SpecException
        assertEquals("unknown specification profile 'v9'", error.message)
        assertEquals("use one of: conformance, paddlex-3, paddlex-v4, pp-ocrv4", error.hint)
    }

    @Test
    fun `text that is no JSON object is refused`() {
        for (text in listOf("", "[1, 2]", "spec_version: 2", specJson.dropLast(900))) {
            assertReports<SpecException>("the specification is damaged") { OcrSpec.parse(text) }
        }
    }

    @Test
    fun `a missing key is named`() = assertReports<SpecException>("profiles.pp-ocrv4.db.unclip_ratio is missing") {
        OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "db").remove("unclip_ratio") })
    }

    @Test
    fun `a value of another kind is named and not converted`() {
        val wrong = mapOf(
            "limit_side_len" to "960",
            "max_side_limit" to 0,
            "normalise" to "scale",
            "side_multiple" to 0,
            "mean" to listOf(1, 2),
            "std" to listOf(0.2, 0.0, 0.2),
            "interpolation" to "area",
            "side_rounding" to "half_up",
            "divisor" to 0,
            "pad_value" to 1.5,
        )
        for ((key, value) in wrong) {
            assertReports<SpecException>("profiles.pp-ocrv4.detection.$key must be") {
                OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "detection").put(key, value as Any) })
            }
        }
    }

    @Test
    fun `a row sort without a known name is refused`() {
        for (value in listOf<Any>("bubble", -1)) {
            assertReports<SpecException>("profiles.pp-ocrv4.boxes.row_sort must be") {
                OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "boxes").put("row_sort", value) })
            }
        }
    }

    @Test
    fun `cubic resizing is refused, since processors differ on it`() =
        assertReports<SpecException>("recognition.interpolation must be one of linear") {
            OcrSpec.parse(changedSpec { it.section("pp-ocrv4", "recognition").put("interpolation", "cubic") })
        }

    @Test
    fun `a default profile that is not there is refused`() = assertReports<SpecException>("unknown specification profile") {
        OcrSpec.parse(changedSpec { it.put("default_profile", "none") })
    }

    @Test
    fun `every key of the export is needed`() {
        val profile = JSONObject(specJson).getJSONObject("profiles").getJSONObject("pp-ocrv4")
        for (section in profile.keys()) {
            val keys = (profile.get(section) as? JSONObject)?.keys()?.asSequence()?.toList() ?: continue
            // The keys that may be null may be absent too.
            for (key in keys - setOf("min_side_exclusive", "max_side_limit")) {
                assertReports<SpecException>("profiles.pp-ocrv4.$section.$key is missing") {
                    OcrSpec.parse(changedSpec { it.section("pp-ocrv4", section).remove(key) })
                }
            }
        }
    }
}
