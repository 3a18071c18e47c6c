package org.edgekit.ocr.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.widget.ListView
import android.widget.TextView
import java.io.IOException

/** The kept pictures, the newest first. Several that are shared at once are read here, one after the other. */
class PicturesActivity : Activity() {
    private val main = Handler(Looper.getMainLooper())
    private val note by lazy { findViewById<TextView>(R.id.pictures_note) }
    private lateinit var rows: PicturesAdapter
    private var shared = ArrayList<String>()
    private var dialog: AlertDialog? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_pictures)
        rows = PicturesAdapter(layoutInflater) { ocr.reader.jobOf(it)?.state }
        val list = findViewById<ListView>(R.id.pictures)
        list.emptyView = findViewById(R.id.pictures_none)
        list.adapter = rows
        list.setOnItemClickListener { _, _, position, _ ->
            startActivity(ResultActivity.intent(this, rows.getItem(position).session, fromList = true))
        }
        take(SharedPictures.several(intent), state)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putStringArrayList(SHARED, shared)
    }

    override fun onResume() {
        super.onResume()
        refresh()
    }

    override fun onPause() {
        main.removeCallbacks(look)
        super.onPause()
    }

    override fun onDestroy() {
        dialog?.dismiss()
        super.onDestroy()
    }

    /** Reads the pictures at [addresses] that were not read before this screen was made anew. */
    private fun take(addresses: List<Uri>, state: Bundle?) {
        val some = addresses.take(SessionStore.MOST)
        note.visibility = if (some.size < addresses.size) View.VISIBLE else View.GONE
        note.text = getString(R.string.pictures_too_many, some.size)
        try {
            // The last one first: the list shows the newest session on top.
            shared = state?.getStringArrayList(SHARED) ?: ArrayList(some.map { ocr.sessions.create().id }.asReversed())
        } catch (error: IOException) {
            note.visibility = View.VISIBLE
            note.text = Messages.of(this, error)
        }
        for ((id, address) in shared.zip(some)) ocr.sessions.find(id)?.let { start(it, address) }
    }

    private fun start(session: Session, address: Uri) {
        if (session.isRead || ocr.reader.jobOf(session.id) != null) return
        // Of the application: the job may outlive this screen.
        val resolver = applicationContext.contentResolver
        ocr.reader.start(session) { SharedPictures.open(resolver, address) }
    }

    /** Fetches the rows, and looks after those that are being read until none is. */
    private fun refresh() {
        main.removeCallbacks(look)
        val coming = shared.toSet()
        load({ fetch(coming) }) { (found, running) ->
            rows.show(found, running)
            invalidateOptionsMenu()
            if (running.isNotEmpty()) main.postDelayed(look, LOOK_MILLIS)
        }
    }

    /** Returns the rows, and which were being read before their files were: what ends meanwhile is fetched again. */
    private fun fetch(coming: Set<String>): Pair<List<PictureRow>, Set<String>> {
        val sessions = ocr.sessions.all(coming)
        val running = sessions.map { it.id }.filter { ocr.reader.jobOf(it)?.state?.ended == false }.toSet()
        return sessions.map { PictureRow.of(it) } to running
    }

    private val look = object : Runnable {
        override fun run() {
            if (rows.someEnded()) return refresh()
            rows.notifyDataSetChanged()
            main.postDelayed(this, LOOK_MILLIS)
        }
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.pictures, menu)
        menu.findItem(R.id.action_delete_all).isVisible = rows.count > 0
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        if (item.itemId != R.id.action_delete_all) return super.onOptionsItemSelected(item)
        dialog = AlertDialog.Builder(this)
            .setMessage(R.string.delete_all_question)
            .setPositiveButton(R.string.delete) { _, _ -> deleteAll() }
            .setNegativeButton(R.string.keep, null)
            .show()
        return true
    }

    private fun deleteAll() {
        for (session in ocr.sessions.all(shared.toSet())) ocr.reader.delete(session)
        shared.clear()
        refresh()
    }

    companion object {
        private const val SHARED = "shared"
        private const val LOOK_MILLIS = 400L

        /** Returns an intent that reads the pictures at [addresses]. */
        fun intent(context: Context, addresses: List<Uri>): Intent =
            SharedPictures.share(context, PicturesActivity::class.java, addresses)
    }
}
