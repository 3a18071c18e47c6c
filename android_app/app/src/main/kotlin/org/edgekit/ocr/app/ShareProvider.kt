package org.edgekit.ocr.app

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/**
 * Hands the files of [SharedFiles] to the app that the user chose, to be read.
 *
 * It is not exported: only an address that was handed over with a permission can be opened, and only that one.
 */
class ShareProvider : ContentProvider() {
    private val files by lazy { filesOf(checkNotNull(context)) }

    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String? = files.find(uri.lastPathSegment)?.let { TYPE }

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val file = files.find(uri.lastPathSegment) ?: throw FileNotFoundException("nothing is shared at $uri")
        if (mode != "r") throw FileNotFoundException("$uri can only be read")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(
        uri: Uri,
        columns: Array<out String>?,
        where: String?,
        values: Array<out String>?,
        order: String?,
    ): Cursor {
        val names = columns ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        val rows = MatrixCursor(names)
        val file = files.find(uri.lastPathSegment) ?: return rows
        rows.addRow(names.map { if (it == OpenableColumns.DISPLAY_NAME) file.name else sizeOf(it, file) })
        return rows
    }

    private fun sizeOf(column: String, file: File): Long? = if (column == OpenableColumns.SIZE) file.length() else null

    override fun insert(uri: Uri, values: ContentValues?): Uri? = throw UnsupportedOperationException("read only")

    override fun delete(uri: Uri, where: String?, values: Array<out String>?): Int =
        throw UnsupportedOperationException("read only")

    override fun update(uri: Uri, fields: ContentValues?, where: String?, values: Array<out String>?): Int =
        throw UnsupportedOperationException("read only")

    companion object {
        /** The type of everything that is shared as a file. */
        const val TYPE = "application/json"

        fun filesOf(context: Context) = SharedFiles(File(context.cacheDir, "shared"))

        /** Returns the address of the shared file called [name]; the manifest states the same authority. */
        fun address(context: Context, name: String): Uri = Uri.Builder()
            .scheme("content").authority("${context.packageName}.shared").appendPath(name).build()
    }
}
