package org.edgekit.ocr.app

import android.app.Activity
import android.os.Bundle
import android.widget.ListView
import android.widget.TextView
import org.edgekit.ocr.OcrException

/** Lists what the app holds and under which licences; a tap shows the text. */
class LicencesActivity : Activity() {
    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_licences)
        val list = findViewById<ListView>(R.id.licences)
        val problem = findViewById<TextView>(R.id.licences_problem)
        list.emptyView = problem
        list.setOnItemClickListener { _, _, position, _ -> startActivity(LicenceActivity.intent(this, position)) }
        load(::rows) { (rows, message) ->
            problem.text = message
            list.adapter = LicencesAdapter(layoutInflater, rows)
        }
    }

    /** Returns the rows, and what is wrong where there are none. */
    private fun rows(): Pair<List<Licence>, String> = try {
        ocr.licences.all to ""
    } catch (error: OcrException) {
        emptyList<Licence>() to Messages.of(this, error)
    }
}
