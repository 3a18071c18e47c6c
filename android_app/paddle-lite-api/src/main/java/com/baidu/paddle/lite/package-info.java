/**
 * Declarations of the part of Paddle Lite's public Java API that the engine calls.
 *
 * They exist to compile against and are never shipped: the real classes come with Paddle Lite's runtime, in
 * PaddlePredictor.jar. Each method here throws.
 */
package com.baidu.paddle.lite;
