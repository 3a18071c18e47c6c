package org.edgekit.ocr.app

import android.app.Application

open class OcrApplication : Application()
