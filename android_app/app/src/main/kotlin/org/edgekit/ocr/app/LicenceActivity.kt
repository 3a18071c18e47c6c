package org.edgekit.ocr.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.widget.TextView
import org.edgekit.ocr.OcrException

/** Shows the licence of one part of the app. */
class LicenceActivity : Activity() {
    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_licence)
        val position = intent.getIntExtra(POSITION, -1)
        load({ read(position) }) { (name, text) ->
            title = name
            findViewById<TextView>(R.id.licence_text).text = text
        }
    }

    /** Returns the name of the part and its licence, or what is wrong. */
    private fun read(position: Int): Pair<String, String> = try {
        val licence = ocr.licences.all[position]
        licence.title to ocr.licences.text(licence)
    } catch (error: OcrException) {
        getString(R.string.licences_title) to Messages.of(this, error)
    }

    companion object {
        private const val POSITION = "position"

        /** Returns what starts the screen for the part at [position] of the list. */
        fun intent(context: Context, position: Int): Intent =
            Intent(context, LicenceActivity::class.java).putExtra(POSITION, position)
    }
}
