package org.edgekit.ocr.lite

import com.baidu.paddle.lite.ConfigBase
import com.baidu.paddle.lite.MobileConfig
import com.baidu.paddle.lite.PaddlePredictor

/** Says that the runtime took no model; its own way is a pointer of zero that its subclasses cannot see. */
internal class NotLoaded : RuntimeException("the runtime loaded no model")

/**
 * A predictor whose native model is freed on demand; throws [NotLoaded] when the model cannot be loaded.
 *
 * The runtime's own class frees it in its finalizer alone. That runs when Java's heap is full, which holds none of it.
 */
internal class FreeablePredictor(config: MobileConfig) : PaddlePredictor(config) {
    /** Called by the constructor above. */
    override fun init(config: ConfigBase): Boolean = super.init(config) || throw NotLoaded()

    public override fun clear(): Boolean = super.clear()
}
