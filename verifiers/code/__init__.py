"""The code verifier: does this program do what its tests ask for?"""
