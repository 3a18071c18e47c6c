package org.edgekit.ocr

/**
 * What the pipeline throws: [message] says what happened, [hint] what the user can do next.
 *
 * Each kind names the part that is to be looked at.
 */
sealed class OcrException(message: String, val hint: String?, cause: Throwable?) : Exception(message, cause)

/** An image that cannot be read, is empty or is too large. */
class ImageException(message: String, hint: String? = null, cause: Throwable? = null) :
    OcrException(message, hint, cause)

/** A specification that is damaged, of another version, or lacks a profile. */
class SpecException(message: String, hint: String? = null, cause: Throwable? = null) :
    OcrException(message, hint, cause)

/** A model file that is damaged, foreign, or does not fit the dictionary. */
class ModelException(message: String, hint: String? = null, cause: Throwable? = null) :
    OcrException(message, hint, cause)

/** An engine that cannot be made, failed, or answered nonsense. */
class EngineException(message: String, hint: String? = null, cause: Throwable? = null) :
    OcrException(message, hint, cause)

/** A bundle that lacks a file or holds a damaged one. */
class BundleException(message: String, hint: String? = null, cause: Throwable? = null) :
    OcrException(message, hint, cause)
