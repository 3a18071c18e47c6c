package org.edgekit.ocr.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.text.format.DateUtils
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.ImageView
import android.widget.TextView

/** A kept picture as a list shows it: its [text] and number of [lines] where it was read, and a small picture. */
class PictureRow(val session: Session, val text: String?, val lines: Int, val thumb: Bitmap?) {
    companion object {
        private const val MOST_TEXT = 200

        /** Reads the files of [session]; not for the main thread. */
        fun of(session: Session): PictureRow {
            val result = session.reading?.result
            val thumb = try {
                BitmapFactory.decodeFile(session.thumb.path)
            } catch (error: OutOfMemoryError) {
                null
            }
            val text = result?.lines?.joinToString(" ") { it.text }?.take(MOST_TEXT)
            return PictureRow(session, text, result?.lines?.size ?: 0, thumb)
        }
    }
}

/** Rows of kept pictures; [stateOf] gives where the job of a session stands, or null when it has none. */
class PicturesAdapter(private val inflater: LayoutInflater, private val stateOf: (String) -> JobState?) : BaseAdapter() {
    private var rows = emptyList<PictureRow>()
    private var running = emptySet<String>()

    /** Shows [found]; the sessions in [reading] were being read when their rows were fetched. */
    fun show(found: List<PictureRow>, reading: Set<String>) {
        rows = found
        running = reading
        notifyDataSetChanged()
    }

    /** Whether one of those is not being read any more. */
    fun someEnded(): Boolean = running.any { stateOf(it)?.ended != false }

    override fun getCount(): Int = rows.size

    override fun getItem(position: Int): PictureRow = rows[position]

    override fun getItemId(position: Int): Long = position.toLong()

    override fun getView(position: Int, old: View?, parent: ViewGroup): View {
        val view = old ?: inflater.inflate(R.layout.picture_row, parent, false)
        val row = rows[position]
        view.findViewById<ImageView>(R.id.picture_thumb).setImageBitmap(row.thumb)
        view.findViewById<TextView>(R.id.picture_text).text = describe(view.context, row)
        val detail = view.findViewById<TextView>(R.id.picture_detail)
        detail.text = detail(view.context, row)
        return view
    }

    private fun describe(context: Context, row: PictureRow): String {
        val state = stateOf(row.session.id)
        return when {
            state != null && !state.ended -> Messages.progress(context, state)
            row.text != null -> row.text.ifEmpty { context.getString(R.string.pictures_no_text) }
            state is JobState.Failed -> Messages.short(context, state.cause)
            else -> context.getString(R.string.pictures_unread)
        }
    }

    private fun detail(context: Context, row: PictureRow): String {
        val flags = DateUtils.FORMAT_SHOW_DATE or DateUtils.FORMAT_SHOW_TIME or DateUtils.FORMAT_ABBREV_MONTH
        val date = DateUtils.formatDateTime(context, row.session.changed, flags)
        if (row.text == null) return date
        val lines = context.resources.getQuantityString(R.plurals.pictures_lines, row.lines, row.lines)
        return context.getString(R.string.pictures_detail, lines, date)
    }
}
