package org.edgekit.ocr

import org.json.JSONArray
import org.json.JSONObject

/** How one golden vector came out: [message] says what differs, and is empty when nothing does. */
class CaseResult(val name: String, val stage: String, val seconds: Double, val message: String) {
    val passed: Boolean get() = message.isEmpty()
}

/** The outcome of a set of golden vectors. */
class ConformanceReport(val results: List<CaseResult>) {
    val failures: List<CaseResult> get() = results.filterNot { it.passed }

    /** Whether every case is equal, and there was one. */
    val passed: Boolean get() = results.isNotEmpty() && failures.isEmpty()

    /** Returns one line on the complete set and one on each case that differs. */
    fun toText(): String {
        val equal = results.size - failures.size
        val lines = ArrayList<String>()
        lines.add("$equal of ${results.size} golden vectors are equal")
        for (failure in failures) lines.add("${failure.name}: ${failure.message}")
        return lines.joinToString("\n")
    }

    /** Returns the report as JSON: passed, cases with name, stage, passed, seconds and message. */
    fun toJson(): JSONObject {
        val cases = JSONArray()
        for (result in results) {
            val row = JSONObject()
            row.put("name", result.name)
            row.put("stage", result.stage)
            row.put("passed", result.passed)
            row.put("seconds", result.seconds)
            row.put("message", result.message)
            cases.put(row)
        }
        val report = JSONObject()
        report.put("passed", passed)
        report.put("cases", cases)
        return report
    }
}
