package org.edgekit.ocr.app

import android.app.ActivityManager
import android.content.Context

/** How many pixels a picture may have on this device at this time. */
object MemoryBudget {
    /** Decoded pixels (3 bytes), the same turned by EXIF, and as much again for the decoder and the stages. */
    private const val BYTES_PER_PIXEL = 12
    private const val LEAST = 4_000_000L
    private const val MOST = 200_000_000L

    /** Returns the budget in pixels: half of what is free above the system's own threshold. */
    fun pixels(context: Context): Long {
        val memory = ActivityManager.MemoryInfo()
        context.getSystemService(ActivityManager::class.java).getMemoryInfo(memory)
        return pixels(memory.availMem - memory.threshold)
    }

    /** Returns the budget for [freeBytes]; every ordinary screenshot fits into the least of it. */
    fun pixels(freeBytes: Long): Long = (freeBytes / 2 / BYTES_PER_PIXEL).coerceIn(LEAST, MOST)
}
