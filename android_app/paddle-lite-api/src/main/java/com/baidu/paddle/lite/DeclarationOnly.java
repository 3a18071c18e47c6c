package com.baidu.paddle.lite;

final class DeclarationOnly {
    private DeclarationOnly() {}

    static UnsupportedOperationException here() {
        return new UnsupportedOperationException("a declaration to compile against, not Paddle Lite's runtime");
    }
}
